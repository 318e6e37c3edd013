import { hash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { hostError } from '@anole/host';
import type { Chunks } from './chunks.ts';

/** Bytes of a SHA-256. */
const SIZE = 32;

/**
 * Digests of the chunks of a blob's file, in a file beside it, where the blob itself has none: what was
 * verified when it came is known again by its seal. As the map of what is there, it is a hint: a seal
 * that is not that of its chunk costs a second fetch.
 */
export class Seals {
  readonly #fd: number;
  readonly #chunks: Chunks;

  private constructor(fd: number, chunks: Chunks) {
    this.#fd = fd;
    this.#chunks = chunks;
  }

  /** @throws HostError */
  static open(path: string, chunks: Chunks): Seals {
    try {
      closeSync(openSync(path, 'a'));
      const fd = openSync(path, 'r+');
      ftruncateSync(fd, chunks.count * SIZE);
      return new Seals(fd, chunks);
    } catch (error) {
      throw hostError(error, `open ${path}`);
    }
  }

  /** Seals chunks [first, end), whose bytes these are. @throws what writing raises */
  put(first: number, end: number, bytes: Uint8Array): void {
    const from = this.#chunks.offsetOf(first);
    const seals = new Uint8Array((end - first) * SIZE);
    for (let index = first; index < end; index++) {
      const start = this.#chunks.offsetOf(index) - from;
      const chunk = bytes.subarray(start, this.#chunks.offsetOf(index + 1) - from);
      seals.set(hash('sha256', chunk, 'buffer'), (index - first) * SIZE);
    }
    writeSync(this.#fd, seals, 0, seals.length, first * SIZE);
  }

  /** Whether bytes are those that were sealed as a chunk. */
  holds(index: number, bytes: Uint8Array): boolean {
    const seal = new Uint8Array(SIZE);
    if (readSync(this.#fd, seal, 0, SIZE, index * SIZE) !== SIZE) return false;
    return hash('sha256', bytes, 'buffer').equals(seal);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
