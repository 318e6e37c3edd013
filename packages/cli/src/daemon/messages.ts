import type { NetworkOptions, RestoreOptions, SandboxOptions } from '@anole/sandbox';

/** What `anole` asks of its daemon; each connection carries one request. */
export type Request =
  | { readonly verb: 'ping' }
  | RunRequest
  | { readonly verb: 'list' }
  | ExecRequest
  | { readonly verb: 'pause' | 'resume' | 'kill' | 'stats'; readonly name: string }
  | RestoreRequest
  | { readonly verb: 'snapshot'; readonly name: string; readonly path: string }
  | AttachRequest
  | { readonly verb: 'fork'; readonly name: string; readonly newName?: string }
  /** Sends the archive of what was changed of its image, or of all where that is no container image. */
  | { readonly verb: 'archive'; readonly name: string }
  | { readonly verb: 'logs'; readonly name: string; readonly follow: boolean }
  | {
      readonly verb: 'file-stat' | 'file-list' | 'file-read';
      readonly name: string;
      readonly path: string;
    }
  | { readonly verb: 'file-mkdir'; readonly name: string; readonly path: string }
  | {
      readonly verb: 'file-write';
      readonly name: string;
      readonly path: string;
      readonly mode?: number;
    };

/** Options of a sandbox that can be said in JSON. */
export type PlainOptions = Pick<
  SandboxOptions,
  | 'memoryMiB'
  | 'cpus'
  | 'volumes'
  | 'hostname'
  | 'mirror'
  | 'keyring'
  | 'maxProcesses'
  | 'maxWritten'
  | 'cpuShare'
  | 'lifetime'
> &
  PlainNetwork;

interface PlainNetwork {
  readonly network?: Omit<NetworkOptions, 'onEvent'>;
}

export interface CommandRequest {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: string;
  readonly timeout?: number;
  readonly maxOutput?: number;
  /** Whether input may come. */
  readonly stdin: boolean;
  readonly tty?: true | Size;
}

interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface RunRequest {
  readonly verb: 'run';
  readonly image: string;
  readonly name?: string;
  readonly options: PlainOptions;
  /** Its end is the sandbox's. Absent: the sandbox stays until it is killed. */
  readonly command?: CommandRequest;
  /** Before the command's arguments, in the place of the image's own; '' for none. */
  readonly entrypoint?: string;
}

export interface ExecRequest extends CommandRequest {
  readonly verb: 'exec';
  readonly name: string;
}

/** Talks to the command that a sandbox was made for. */
export interface AttachRequest {
  readonly verb: 'attach';
  readonly name: string;
  /** Of the terminal of who asks, where it is one. */
  readonly size?: Size;
}

export interface RestoreRequest {
  readonly verb: 'restore';
  readonly path: string;
  readonly name?: string;
  readonly options: Pick<
    RestoreOptions,
    'image' | 'volumes' | 'lifetime' | 'cpuShare' | 'trust' | 'verify' | 'mirror' | 'keyring'
  > &
    PlainNetwork;
}

/** To a running command, beside its input. */
export type ToCommand = { readonly signal: number } | { readonly resize: Size };

export type Reply =
  | { readonly progress: unknown }
  | { readonly note: string }
  | { readonly started: true }
  | { readonly ok: unknown }
  | { readonly error: { code: string; message: string; hint?: string } };

/** What a sandbox was made of. */
export interface SandboxOrigin {
  readonly image: string;
  /** Of a container image: what its name stood for. */
  readonly digest?: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface ListedSandbox {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly state: 'running' | 'paused' | 'ended';
  /** Milliseconds since 1970. */
  readonly created: number;
  /** Of an ended one: how its command ended, or why not. */
  readonly exitCode?: number;
  readonly reason?: string;
}
