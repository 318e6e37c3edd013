import type { Duplex } from 'node:stream';
import type { MessagePort } from 'node:worker_threads';
import type { Awaitable, CallOptions } from '@anole/bytes';
import type { PublishedPort } from '../network/options.ts';
import type { About } from '../saved/description.ts';

/** A stream of bytes to and from the guest, in order. */
export interface Channel {
  /** Queues bytes for the guest. They are the channel's own from then on. */
  send(bytes: Uint8Array): void;
  /** Sets who gets the guest's bytes; they are the receiver's own. */
  receive(handler: (bytes: Uint8Array) => void): void;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/**
 * A console port of the machine: a terminal in the guest. The engine stops the guest when more than
 * its bound is not consumed; `send` resolves once the guest's side has taken the bytes, or is sure to.
 */
export interface Terminal {
  /** Device name in the guest: `hvc1`. */
  readonly name: string;
  send(bytes: Uint8Array): Awaitable<void>;
  receive(handler: (bytes: Uint8Array) => void): void;
  /** Says that the receiver is done with so many bytes. */
  consumed(bytes: number): void;
  /** Absent where the engine cannot: the agent then sets the size from inside. */
  resize?(size: TerminalSize): void;
  /** Gives the terminal back for another command. */
  release(): void;
}

/** How a machine ended. */
export interface EngineEnd {
  readonly reason: 'closed' | 'poweroff' | 'reboot' | 'panic' | 'failed';
  /** The last of what the kernel printed. */
  readonly console: string;
  readonly error?: unknown;
  /** What the kernel gave as the reason of its panic. */
  readonly panic?: string;
}

/** What a machine took so far. */
export interface EngineStatistics {
  /** Instructions of the guest. */
  readonly instructions: number;
  /** Time of a processor. */
  readonly cpuMilliseconds: number;
  /** Time for which the guest was held back by its share. */
  readonly throttledMilliseconds: number;
  /** Bytes that the guest wrote over its image, as they are counted. */
  readonly written: number;
  readonly maxWritten: number;
}

/** Something that runs a guest with the agent in it. */
export interface Engine {
  readonly agent: Channel;
  /** Takes calls for the guest's files, and closes with the machine: see `files/messages.ts`. */
  readonly files: MessagePort;
  /** Resolves, never rejects, when the machine stopped. */
  readonly ended: Promise<EngineEnd>;
  /** Sets who is told that the guest met a limit. */
  onLimit: (limit: 'disk') => void;
  openTerminal(): Promise<Terminal>;
  /** Has the guest stand still, and go on. */
  pause(): void;
  resume(): void;
  /** Bounds the guest's time of a processor from now on. Undefined: no bound. */
  share(share: number | undefined): void;
  statistics(): Promise<EngineStatistics>;
  /** Connects to a TCP port of the guest; undefined where it has no network. */
  connect(guest: number): Duplex | undefined;
  /**
   * Starts a copy of the machine as it is now, which goes on by itself.
   *
   * @param configuration makes it one of its own: payload of a frame `configure`, but for the moment in it
   */
  fork(configuration: Uint8Array<ArrayBuffer>): Promise<Engine>;
  /**
   * Saves the machine as it is now, and what is behind its devices, in a file.
   *
   * @param about what is said of it, asked for once it was taken
   */
  save(path: string, about: () => About, options?: Pick<CallOptions, 'signal'>): Promise<void>;
  /** Of the order: time of a processor that the guest may take. */
  readonly cpuShare: number | undefined;
  /** Ports of this computer that lead to the guest; known once the agent has said something. */
  readonly ports: readonly PublishedPort[];
  /** Stops the machine and frees all it held. May be called again. */
  close(): Promise<void>;
}
