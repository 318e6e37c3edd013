import type { NetworkOptions, SandboxOptions } from '@anole/sandbox';

/** What `anole` asks of its daemon; each connection carries one request. */
export type Request =
  | { readonly verb: 'ping' }
  | RunRequest
  | { readonly verb: 'list' }
  | ExecRequest
  | { readonly verb: 'pause' | 'resume' | 'kill' | 'stats'; readonly name: string }
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
  | 'cpuShare'
  | 'lifetime'
> & { readonly network?: Omit<NetworkOptions, 'onEvent'> };

export interface CommandRequest {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: string;
  readonly timeout?: number;
}

export interface RunRequest {
  readonly verb: 'run';
  readonly image: string;
  readonly name?: string;
  readonly options: PlainOptions;
  /** Its end is the sandbox's. Absent: the sandbox stays until it is killed. */
  readonly command?: CommandRequest;
}

export interface ExecRequest extends CommandRequest {
  readonly verb: 'exec';
  readonly name: string;
  readonly stdin: boolean;
  readonly tty?: { readonly columns: number; readonly rows: number };
}

/** To a running command, beside its input. */
export type ToCommand =
  | { readonly signal: number }
  | { readonly resize: { readonly columns: number; readonly rows: number } };

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
