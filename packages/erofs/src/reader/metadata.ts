import { BytesBudget, type Flow, type Source, wait } from '@anole/bytes';
import { damaged } from '../errors.ts';

/** Bytes of the image read and kept at once. What is far apart shall not cost much over a network. */
const WINDOW = 4096;

/**
 * Metadata of an image through a cache of windows, the longest unused of which goes first. Ranges
 * are bounded by the image before anything is allocated.
 */
export class Metadata {
  readonly source: Source;
  /** Tells spaces apart; empty for the image itself. */
  readonly name: string;
  readonly #windows = new Map<number, Uint8Array>();
  readonly #budget: BytesBudget;

  /** @param memory bytes to keep, at least one window; or what is shared with others */
  constructor(source: Source, memory: number | BytesBudget, name = '') {
    this.source = source;
    this.name = name;
    this.#budget = typeof memory === 'number' ? new BytesBudget(memory) : memory;
  }

  /**
   * Exactly `length` bytes. May alias the cache: do not write to it; it stays as it is.
   *
   * @throws ErofsError `EROFS_OUT_OF_RANGE`
   */
  *read(offset: number, length: number, what: string): Flow<Uint8Array> {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.source.size)) {
      throw damaged(
        'EROFS_OUT_OF_RANGE',
        `Cannot read ${what}: its ${length} bytes end outside the image of ${this.source.size}`,
        offset,
      );
    }
    const index = Math.floor(offset / WINDOW);
    const start = offset - index * WINDOW;
    if (start + length <= WINDOW) {
      const window = this.#windows.get(index) ?? (yield* this.#load(index));
      return window.subarray(start, start + length);
    }
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const from = at % WINDOW;
      const count = Math.min(WINDOW - from, length - done);
      const part = Math.floor(at / WINDOW);
      const window = this.#windows.get(part) ?? (yield* this.#load(part));
      bytes.set(window.subarray(from, from + count), done);
      done += count;
    }
    return bytes;
  }

  *#load(index: number): Flow<Uint8Array> {
    const offset = index * WINDOW;
    const length = Math.min(WINDOW, this.source.size - offset);
    // A Source may reuse the memory of what it gave.
    const window = new Uint8Array(yield* wait(this.source.read(offset, length)));
    this.#windows.set(index, window);
    this.#budget.keep({ bytes: window, drop: () => void this.#windows.delete(index) });
    return window;
  }
}
