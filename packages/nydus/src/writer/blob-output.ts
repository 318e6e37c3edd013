import type { Awaitable } from '@anole/bytes';
import type { RunningHash } from './encoders.ts';
import { tarHeader } from './tar-header.ts';

/** Takes the bytes of a blob, from first to last. What it is given is lent until its promise settles. */
export interface BlobSink {
  write(bytes: Uint8Array): Awaitable<void>;
}

/** A blob on its way out: counts and hashes. */
export class BlobOutput {
  position = 0;
  readonly #sink: BlobSink;
  readonly #hash: RunningHash;
  #part: RunningHash | undefined;

  constructor(sink: BlobSink, hash: RunningHash) {
    this.#sink = sink;
    this.#hash = hash;
  }

  write(bytes: Uint8Array): Awaitable<void> {
    this.position += bytes.length;
    this.#hash.update(bytes);
    this.#part?.update(bytes);
    return this.#sink.write(bytes);
  }

  /** The header behind a part of `size` bytes. */
  async tarHeader(name: string, size: number): Promise<void> {
    await this.write(tarHeader(name, size));
  }

  /** Of all bytes. Ends the blob. */
  digest(): Uint8Array {
    return this.#hash.digest();
  }

  /** Hashes what is written from now on, until the hash is asked for. */
  startPart(hash: RunningHash): void {
    this.#part = hash;
  }

  endPart(): Uint8Array {
    const digest = this.#part!.digest();
    this.#part = undefined;
    return digest;
  }
}
