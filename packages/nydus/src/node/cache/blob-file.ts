import { closeSync, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { hostError, readAt, systemCode, writeAt } from '@anole/host';
import type { Chunks } from './chunks.ts';
import { Sums } from './sums.ts';

/**
 * The sparse file that a blob comes into, as large as the blob. What this process has proven of it is known again when
 * it is read.
 */
export class BlobFile {
  readonly path: string;
  readonly fd: number;
  readonly #chunks: Chunks;
  readonly #sums: Sums;
  /** Its time of change after the last that this process did, and whether others changed it before that. */
  #changed = 0;
  #isOthers = false;

  /** Takes over the file's descriptor if given, but where it throws. @throws HostError */
  constructor(path: string, chunks: Chunks, descriptor?: number) {
    this.path = path;
    this.#chunks = chunks;
    this.#sums = new Sums(chunks);
    let opened: number | undefined;
    try {
      if (descriptor === undefined) {
        closeSync(openSync(path, 'a'));
        opened = openSync(path, 'r+');
      }
      this.fd = (descriptor ?? opened)!;
      // Cutting a file that somebody watches would wait for them, whatever the descriptor.
      if (fstatSync(this.fd).size !== chunks.size) ftruncateSync(this.fd, chunks.size);
      this.looking();
    } catch (error) {
      if (opened !== undefined) closeSync(opened);
      throw hostError(error, `open ${path}`);
    }
  }

  /** Whether others have changed it since {@link looking}. */
  get isChanged(): boolean {
    return this.#isOthers || fstatSync(this.fd).ctimeMs !== this.#changed;
  }

  /** All that was proven is looked at from now on. */
  looking(): void {
    this.#isOthers = false;
    this.#changed = fstatSync(this.fd).ctimeMs;
  }

  /** Puts chunks [first, end), which are right. @throws what writing raises */
  write(first: number, end: number, bytes: Uint8Array): void {
    this.#isOthers = this.isChanged;
    writeAt(this.fd, this.#chunks.offsetOf(first), bytes);
    this.#changed = fstatSync(this.fd).ctimeMs;
    this.#sums.put(first, end, bytes);
  }

  /** Notes what a chunk has, which is right. */
  proven(index: number, bytes: Uint8Array): void {
    this.#sums.put(index, index + 1, bytes);
  }

  /** All of a chunk. Undefined where the disk does not have it, or cannot read it. @throws what else reading raises */
  chunk(index: number): Uint8Array | undefined {
    const from = this.#chunks.offsetOf(index);
    const bytes = new Uint8Array(this.#chunks.offsetOf(index + 1) - from);
    return this.#fill(bytes, from) ? bytes : undefined;
  }

  /**
   * Fills `target` with what was proven. Gives the chunks that are not what they were then: where there are any,
   * `target` has nothing of use.
   *
   * @throws what reading raises, a disk that cannot read aside
   */
  read(offset: number, target: Uint8Array): readonly number[] {
    const [start, end] = this.#sums.around(offset, target.length);
    const isWhole = end - start === target.length;
    const units = isWhole ? target : new Uint8Array(end - start);
    if (!this.#fill(units, start)) return this.#chunksOf(start, end);
    const wrong = this.#sums.wrongIn(start, units);
    if (!isWhole) target.set(units.subarray(offset - start, offset - start + target.length));
    return wrong;
  }

  close(): void {
    closeSync(this.fd);
  }

  #fill(target: Uint8Array, offset: number): boolean {
    try {
      return readAt(this.fd, offset, target) === target.length;
    } catch (error) {
      if (systemCode(error) === 'EIO') return false;
      throw error;
    }
  }

  #chunksOf(start: number, end: number): readonly number[] {
    const first = this.#chunks.indexAt(start);
    const last = this.#chunks.indexAt(end - 1);
    return Array.from({ length: last + 1 - first }, (_, at) => first + at);
  }
}
