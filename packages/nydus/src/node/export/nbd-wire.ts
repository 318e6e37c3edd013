import type { Duplex } from 'node:stream';
import { AnoleError } from '@anole/bytes';

/** A client that breaks the protocol. Its connection ends. */
export class NbdError extends AnoleError {
  declare readonly code: 'NBD_BAD_REQUEST';

  constructor(problem: string, details: Readonly<Record<string, unknown>> = {}) {
    super('NBD_BAD_REQUEST', `Cannot serve the client of NBD: ${problem}`, { details });
  }
}

/** One connection: bytes asked for by their number, and answers that wait for who reads slowly. */
export class NbdWire {
  readonly #stream: Duplex;
  readonly #pieces: AsyncIterator<Buffer>;
  #here: Uint8Array = new Uint8Array(0);
  /** Where answers wait for who reads them. */
  #room: Promise<void> | undefined;

  constructor(stream: Duplex) {
    this.#stream = stream;
    this.#pieces = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    // A client that is gone is seen where it is read from.
    stream.on('error', () => {});
  }

  /** The next `length` bytes, of memory that nobody else has; undefined where the client has gone. */
  async take(length: number): Promise<Uint8Array | undefined> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const part = await this.#some(length - at);
      if (part === undefined) return undefined;
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** Leaves out bytes. */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) {
      const part = await this.#some(left);
      if (part === undefined) return;
      left -= part.length;
    }
  }

  /** Sends pieces without anything between them; they must not change any more. */
  async send(...pieces: readonly Uint8Array[]): Promise<void> {
    if (this.#stream.destroyed) return;
    let hasRoom = true;
    this.#stream.cork();
    for (const piece of pieces) hasRoom = this.#stream.write(piece);
    this.#stream.uncork();
    if (hasRoom) return;
    this.#room ??= this.#drained();
    await this.#room;
  }

  /** Returns when there is room again, or nobody to read. */
  async #drained(): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#stream.off('drain', done);
        this.#stream.off('close', done);
        resolve();
      };
      this.#stream.on('drain', done);
      this.#stream.on('close', done);
    });
    this.#room = undefined;
  }

  async #some(most: number): Promise<Uint8Array | undefined> {
    if (this.#here.length === 0) {
      const next = await this.#pieces.next().catch(() => undefined);
      if (next === undefined || next.done) return undefined;
      this.#here = next.value;
    }
    const part = this.#here.subarray(0, most);
    this.#here = this.#here.subarray(part.length);
    return part;
  }
}
