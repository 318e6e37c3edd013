import {
  type ExitReport,
  exitReport,
  headerBytes,
  maxDataFrame,
  type Refusal,
  streamWindow,
  toGuest,
  toHost,
} from '../agent/wire.ts';
import { type SandboxCode, SandboxError } from '../errors.ts';
import { ByteStream } from './byte-stream.ts';
import { type Frame, parseReport, saying, wordOf } from './frames.ts';

/** Sends a frame to the agent. */
export type SendFrame = (type: number, command: number, payload: Uint8Array) => void;

const nothing = new Uint8Array(0);
const maxChunk = maxDataFrame - headerBytes;

/** A command of the guest as the host sees it. One per `spawn`. */
export class GuestCommand {
  readonly id: number;
  /** Of its first process in the guest; 0 until it runs. */
  pid = 0;
  readonly stdout: ByteStream;
  readonly stderr: ByteStream;
  readonly #send: SendFrame;
  readonly #started = Promise.withResolvers<void>();
  readonly #exit = Promise.withResolvers<ExitReport>();
  #window = streamWindow;
  #windowOpened: (() => void) | undefined;
  #inputEnded = false;
  #begun = false;
  #exited = false;
  /** Outputs that did not end yet. */
  readonly #open = new Set([1, 2]);

  /** @param outputs false for a command with a terminal, which is all its streams */
  constructor(id: number, send: SendFrame, outputs = true) {
    this.id = id;
    this.#send = send;
    this.stdout = new ByteStream((bytes) => this.#grant(1, bytes), streamWindow);
    this.stderr = new ByteStream((bytes) => this.#grant(2, bytes), streamWindow);
    if (!outputs) {
      this.#open.clear();
      this.stdout.end();
      this.stderr.end();
    }
    this.#started.promise.catch(() => {});
    this.#exit.promise.catch(() => {});
  }

  /**
   * One that runs already, in the copy of a machine: of its streams those given are open.
   *
   * @param early what it printed before it was known
   */
  static running(
    id: number,
    send: SendFrame,
    streams: readonly number[],
    early: readonly Frame[] = [],
  ): GuestCommand {
    const command = new GuestCommand(id, send);
    for (const { type, payload } of early) {
      (type === toHost.stdout ? command.stdout : command.stderr).pushEarly(payload);
    }
    for (const stream of [0, 1, 2]) if (!streams.includes(stream)) command.#endStream(stream);
    command.#start(0);
    return command;
  }

  /** Resolves when the command runs; rejects with the guest's refusal. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  get exit(): Promise<ExitReport> {
    return this.#exit.promise;
  }

  /** True when the guest will say no more of it. */
  get finished(): boolean {
    return this.#exited && this.#open.size === 0;
  }

  /** Gives the command input. Resolves when the guest has room for more; false: it reads no more. */
  async write(bytes: Uint8Array): Promise<boolean> {
    for (let at = 0; at < bytes.length; ) {
      while (this.#window === 0 && !this.#inputEnded) await this.#opened();
      if (this.#inputEnded) return false;
      const length = Math.min(this.#window, bytes.length - at, maxChunk);
      this.#window -= length;
      this.#send(toGuest.stdin, this.id, bytes.subarray(at, at + length));
      at += length;
    }
    return !this.#inputEnded;
  }

  endInput(): void {
    if (this.#inputEnded) return;
    this.#stopInput();
    this.#send(toGuest.stdinEnd, this.id, nothing);
  }

  signal(signal: number): void {
    this.#send(toGuest.signal, this.id, Uint8Array.of(signal));
  }

  resize(columns: number, rows: number): void {
    const payload = new DataView(new ArrayBuffer(4));
    payload.setUint16(0, Math.min(columns, 65535), true);
    payload.setUint16(2, Math.min(rows, 65535), true);
    this.#send(toGuest.resize, this.id, new Uint8Array(payload.buffer));
  }

  /** Takes a frame of the agent. */
  accept(frame: Frame): void {
    if (frame.type === toHost.stdout) this.stdout.push(frame.payload);
    else if (frame.type === toHost.stderr) this.stderr.push(frame.payload);
    else if (frame.type === toHost.streamEnd) this.#endStream(frame.payload[0]);
    else if (frame.type === toHost.credit) this.#widen(frame.payload);
    else if (frame.type === toHost.started) this.#start(wordOf(frame));
    else if (frame.type === toHost.refused) this.#refuse(parseReport<Refusal>(frame));
    else if (frame.type === toHost.exit) this.#end(exitReport(wordOf(frame)));
    else {
      throw new SandboxError(
        'SANDBOX_AGENT',
        `Cannot read from the agent: frame type ${frame.type}`,
      );
    }
  }

  #start(pid: number): void {
    this.pid = pid;
    this.#begun = true;
    this.#started.resolve();
  }

  /** The guest is gone. A command that ended before keeps its end, and its streams end well. */
  fail(error: unknown): void {
    const exited = this.#exited;
    this.#exited = true;
    this.#open.clear();
    this.#stopInput();
    this.#started.reject(error);
    this.#exit.reject(error);
    for (const stream of [this.stdout, this.stderr]) {
      if (exited) stream.end();
      else stream.fail(error);
    }
  }

  #refuse(refusal: Partial<Refusal>): void {
    const code = refusalCodes.get(refusal.reason ?? 'resources') ?? 'SANDBOX_AGENT';
    this.fail(
      new SandboxError(code, `Cannot run the command: ${saying(refusal.message)}`, {
        details: { exitCode: refusal.code },
      }),
    );
  }

  #end(report: ExitReport): void {
    if (!this.#begun) {
      throw new SandboxError('SANDBOX_AGENT', 'Cannot end a command that was not started');
    }
    this.#exited = true;
    this.#stopInput();
    this.#exit.resolve(report);
  }

  #endStream(stream: number | undefined): void {
    if (stream === 0) {
      this.#stopInput();
      return;
    }
    if (stream === undefined || !this.#open.delete(stream)) return;
    (stream === 1 ? this.stdout : this.stderr).end();
  }

  #stopInput(): void {
    this.#inputEnded = true;
    this.#windowOpened?.();
  }

  #widen(payload: Uint8Array): void {
    if (payload.length < 5) return;
    this.#window += new DataView(payload.buffer, payload.byteOffset).getUint32(1, true);
    this.#windowOpened?.();
  }

  #opened(): Promise<void> {
    return new Promise((resolve) => {
      this.#windowOpened = resolve;
    });
  }

  #grant(stream: 1 | 2, bytes: number): void {
    const payload = new DataView(new ArrayBuffer(5));
    payload.setUint8(0, stream);
    payload.setUint32(1, bytes, true);
    this.#send(toGuest.credit, this.id, new Uint8Array(payload.buffer));
  }
}

const refusalCodes: ReadonlyMap<Refusal['reason'], SandboxCode> = new Map([
  ['not-found', 'SANDBOX_NOT_FOUND'],
  ['not-executable', 'SANDBOX_NOT_EXECUTABLE'],
  ['unreadable', 'SANDBOX_DAMAGED'],
  ['directory', 'SANDBOX_NO_DIRECTORY'],
  ['user', 'SANDBOX_NO_USER'],
  ['resources', 'SANDBOX_RESOURCES'],
]);
