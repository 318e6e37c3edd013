import { SandboxError } from '../errors.ts';

/**
 * Bytes of a command's output: an async iterable that is read once. What is not read yet is
 * bounded by what the reader granted, whatever the guest sends.
 */
export class ByteStream implements AsyncIterableIterator<Uint8Array> {
  readonly #grant: (bytes: number) => void;
  readonly #queue: Uint8Array[] = [];
  #readers: PromiseWithResolvers<IteratorResult<Uint8Array>>[] = [];
  #ended = false;
  #discarding = false;
  #error: unknown;
  #owed = 0;
  /** Bytes that may come before more are granted. */
  #room: number;
  /** Told of all bytes that come. */
  observe: ((bytes: number) => void) | undefined;

  /**
   * @param grant told how many bytes the reader took: so many more may be sent
   * @param window bytes that may be sent at first
   */
  constructor(grant: (bytes: number) => void, window = Number.POSITIVE_INFINITY) {
    this.#room = window;
    this.#grant = (bytes) => {
      this.#room += bytes;
      grant(bytes);
    };
  }

  /**
   * Adds bytes, which the stream keeps.
   *
   * @throws SandboxError `SANDBOX_AGENT` where there are more than were granted
   */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#room -= bytes.length;
    if (this.#room < 0) {
      throw new SandboxError('SANDBOX_AGENT', 'Cannot take more output than the guest was granted');
    }
    this.observe?.(bytes.length);
    if (this.#discarding) {
      this.#grant(bytes.length);
      return;
    }
    if (this.#ended) return;
    const reader = this.#readers.shift();
    if (reader === undefined) {
      this.#queue.push(bytes);
      return;
    }
    this.#take(bytes.length);
    reader.resolve({ done: false, value: bytes });
  }

  /** {@link push} of bytes that were not granted here: they came for one who was here before. */
  pushEarly(bytes: Uint8Array): void {
    this.#room += bytes.length;
    this.push(bytes);
  }

  end(): void {
    this.#ended = true;
    for (const reader of this.#readers.splice(0)) reader.resolve({ done: true, value: undefined });
  }

  /** Ends the stream with an error, after what is queued. */
  fail(error: unknown): void {
    if (this.#ended) return;
    const reader = this.#readers.shift();
    if (reader === undefined) this.#error = error;
    else reader.reject(error);
    this.end();
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const bytes = this.#queue.shift();
    if (bytes !== undefined) {
      this.#take(bytes.length);
      return Promise.resolve({ done: false, value: bytes });
    }
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    const reader = Promise.withResolvers<IteratorResult<Uint8Array>>();
    this.#readers.push(reader);
    return reader.promise;
  }

  /** Stops reading: what is there and what comes is thrown away, so that the writer is not held up. */
  return(): Promise<IteratorResult<Uint8Array>> {
    this.#discarding = true;
    for (const bytes of this.#queue.splice(0)) this.#take(bytes.length);
    if (this.#owed > 0) this.#grant(this.#owed);
    this.#owed = 0;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Grants in large steps: each grant is a message that the guest has to read. */
  #take(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < 65536 || this.#ended) return;
    this.#grant(this.#owed);
    this.#owed = 0;
  }
}

/** All bytes of a stream, joined. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of stream) {
    parts.push(part);
    size += part.length;
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
