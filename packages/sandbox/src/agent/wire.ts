/**
 * The agent protocol, shared by both of its ends: docs/formats/agent-protocol.md. This file runs in
 * QuickJS too, so it uses the language alone.
 */

export const protocolVersion = 8;

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
  notConfigured: 142,
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
  /** 32 random bytes: a guest that was restored has the same secrets as others. */
  readonly entropy: Uint8Array;
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

/**
 * Offsets in a payload of `configure`. Texts are UTF-8, with a length (u32) each, and follow one another behind the
 * fields: what they are written to takes them as they are.
 */
export const configureField = {
  /** 32 bytes. With the moment behind it, this is a message to the program `renew`. */
  entropy: 0,
  /** u64 each. */
  seconds: 32,
  nanoseconds: 40,
  hostnameLength: 48,
  /** Of the number of processes, in decimal; 0: absent. */
  processesLength: 52,
  /** Of the machine id with its line feed; 0: this is no copy. */
  machineIdLength: 56,
  /** Of JSON: a list of {@link GuestVolume}; 0: none. */
  volumesLength: 60,
  texts: 64,
} as const;

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

/** What could not be done. */
export interface ConfigurationFailure {
  readonly error: string;
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

/**
 * Offsets of the fields that a payload of `spawn` begins with, u32 each. A string is told by its place in the
 * memory of `launch`, and by its length in bytes; of none both are 0.
 */
export const spawnField = {
  /** Where in the payload the memory of the program `launch` begins, which is the rest of it. */
  launch: 0,
  /** Sum of {@link spawnFlag}. */
  flags: 4,
  program: 8,
  directory: 16,
  user: 24,
  /** Path of its device. */
  terminal: 32,
  /** Paths of the files that may be the program, a NUL after each but the last. */
  candidates: 40,
  /** For each of them, in this order, a {@link candidateField}. */
  firstCandidate: 48,
} as const;

export const spawnFlag = {
  /** The host sends standard input. */
  stdin: 1,
  /** Some of the strings is not ASCII. */
  unicode: 2,
} as const;

/** Where the path of such a file is, and, as a string of {@link spawnField}, what to say where it cannot be executed. */
export const candidateField = { path: 0, message: 4 } as const;
export const candidateBytes = 12;

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

/** Payload of `exit`, a u32: code, signal, then a bit for each limit that was met. */
export function exitWord({ code, signal, outOfMemory, outOfProcesses }: ExitReport): number {
  const limits = (outOfMemory ? 1 : 0) | (outOfProcesses ? 2 : 0);
  return (code ?? 0) | ((signal ?? 0) << 8) | (limits << 16);
}

/** The report of an {@link exitWord}. */
export function exitReport(word: number): ExitReport {
  const [code, signal] = [word & 0xff, (word >> 8) & 0x7f];
  return {
    ...(signal === 0 ? { code } : { signal }),
    ...((word & 0x1_0000) !== 0 && { outOfMemory: true }),
    ...((word & 0x2_0000) !== 0 && { outOfProcesses: true }),
  };
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
  if (bytes.length <= step) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  let text = '';
  for (let at = 0; at < bytes.length; at += step) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + step) as unknown as number[]);
  }
  return text;
}
