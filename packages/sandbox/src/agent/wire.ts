/**
 * The agent protocol, shared by both of its ends: docs/formats/agent-protocol.md. This file runs in
 * QuickJS too, so it uses the language alone.
 */

export const protocolVersion = 7;

/** Name of the virtio console port the agent serves. */
export const agentPortName = 'anole.agent';

/** Bytes before a frame's payload: length of what follows the length u32, type u8, command u32. */
export const headerBytes = 9;

/** A frame of data with its header: what virtio-console takes in one write. */
export const maxDataFrame = 32768;

/** Bound of any payload; only `spawn` comes near. */
export const maxPayload = 1 << 20;

/** Bytes a stream may have on their way before its reader grants more. */
export const streamWindow = 256 * 1024;

/** From the host. */
export const toGuest = {
  spawn: 1,
  stdin: 2,
  stdinEnd: 3,
  credit: 4,
  signal: 5,
  resize: 6,
  configure: 7,
  sync: 8,
  drop: 9,
  statistics: 10,
  rehearse: 11,
} as const;

/** From the guest. */
export const toHost = {
  hello: 128,
  started: 129,
  refused: 130,
  stdout: 131,
  stderr: 132,
  streamEnd: 133,
  credit: 134,
  exit: 135,
  synced: 136,
  configured: 137,
  dropped: 138,
  limit: 139,
  statistics: 140,
  rehearsed: 141,
} as const;

export interface Hello {
  readonly version: number;
}

/**
 * What a guest is told before its first command, and again when its machine is the copy of another
 * one: all that differs between sandboxes.
 */
export interface Configuration {
  readonly hostname: string;
  /** Since 1970. */
  readonly seconds: number;
  readonly nanoseconds: number;
  /** 32 random bytes in hexadecimal: a guest that was restored has the same secrets as others. */
  readonly entropy: string;
  /** virtio-fs devices to mount, in order. */
  readonly volumes: readonly GuestVolume[];
  /** Processes and threads that commands may have at once. Absent: as before, or any number. */
  readonly maxProcesses?: number;
  /** There for a copy: who listens is new, and knows nothing of the streams. */
  readonly fork?: ForkConfiguration;
}

export interface ForkConfiguration {
  /** For /etc/machine-id, where there is one: 32 hexadecimal digits. */
  readonly machineId: string;
}

/** A command that runs in a copy. Its streams begin anew, each with a whole window. */
export interface ForkedCommand {
  readonly id: number;
  /** Streams that are open: standard input, output, error. */
  readonly streams: readonly number[];
}

/** A volume of a guest: a virtio-fs device by its tag, and where it goes. */
export interface GuestVolume {
  readonly tag: string;
  /** Absolute; made where it is missing. */
  readonly path: string;
  readonly readOnly: boolean;
}

export interface ConfigurationReport {
  /** What could not be done. */
  readonly error?: string;
  /** Of a copy: commands that run, but for those with a terminal, which are hung up. */
  readonly commands?: readonly ForkedCommand[];
}

/** A directory of the root that the host changed: what the kernel has to drop of it. */
export interface DropRequest {
  readonly ino: number;
  /** Absolute. */
  readonly directory: string;
  /** Names that the kernel believes to be there. */
  readonly present: readonly string[];
  /** Names that it believes not to be there. */
  readonly absent: readonly string[];
}

/** A command to start, as the host has it. */
export interface SpawnRequest {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** `user`, `uid`, `user:group` or `uid:gid`. Absent: root. */
  readonly user?: string;
  /** Device name of the terminal (`hvc1`), which then is all three streams. */
  readonly terminal?: string;
  /** The host sends standard input. Else the command reads /dev/null. */
  readonly stdin: boolean;
}

/** Of a {@link SpawnRequest}, what the agent looks at. The rest goes to the program `launch` as it is. */
export interface SpawnOrder extends Pick<SpawnRequest, 'cwd' | 'user' | 'terminal' | 'stdin'> {
  readonly program: string;
  /** Where to look for it, in this order. */
  readonly candidates: readonly Candidate[];
}

/** A file that may be the program, and where in the memory of `launch` is what belongs to it. */
export interface Candidate {
  readonly file: string;
  /** Offset of its path. */
  readonly path: number;
  /** What to say where it cannot be executed. */
  readonly message: number;
  readonly messageLength: number;
}

/** The command was not started. `code` is what a shell would report. */
export interface Refusal {
  readonly reason:
    | 'not-found'
    | 'not-executable'
    | 'directory'
    | 'unreadable'
    | 'user'
    | 'resources';
  readonly code: number;
  readonly message: string;
}

export interface ExitReport {
  /** Exit code, where the command ended by itself. */
  readonly code?: number;
  /** Number of the signal that ended it. */
  readonly signal?: number;
  /** The kernel killed a process for want of memory while the command ran. */
  readonly outOfMemory?: boolean;
  /** The kernel refused to make a process while the command ran: there were as many as may be. */
  readonly outOfProcesses?: boolean;
}

/** A limit that the guest met. */
export interface LimitReport {
  readonly limit: 'memory' | 'processes';
}

export interface GuestStatistics {
  /** Processes and threads of commands. */
  readonly processes: number;
  /** In KiB. */
  readonly memory: { readonly total: number; readonly available: number };
}

export function writeHeader(view: DataView, type: number, command: number, payload: number): void {
  view.setUint32(0, 5 + payload, true);
  view.setUint8(4, type);
  view.setUint32(5, command, true);
}

/** JSON in ASCII: what lies beyond is escaped, so that no end needs a UTF-8 decoder. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The bytes of a string of {@link asciiJson}. */
export function asciiBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** The string of ASCII bytes. */
export function asciiText(bytes: Uint8Array): string {
  const step = 8192; // arguments of one call
  let text = '';
  for (let at = 0; at < bytes.length; at += step) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + step) as unknown as number[]);
  }
  return text;
}
