import { BytesBudget, type Flow, type Source, viewOf, wait } from '@anole/bytes';
import { damaged } from '../errors.ts';

/** Bytes of the image read and kept at once. What is far apart shall not cost much over a network. */
const WINDOW = 4096;
/**
 * Windows read at once where the one before was read last: of Sources that answer at once, which are near. Then it is
 * the number of reads that costs.
 */
const AHEAD = 16;

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
  /** The window behind those that were read last. */
  #next = -1;

  /** Memory of windows that were given up, where it is used again. */
  readonly #free: Uint8Array[] | undefined;

  /**
   * @param memory bytes to keep, at least one window; or what is shared with others
   * @param reuses whether memory of windows that were given up is used again
   */
  constructor(source: Source, memory: number | BytesBudget, name = '', reuses = false) {
    this.source = source;
    this.name = name;
    this.#free = reuses ? [] : undefined;
    this.#budget = typeof memory === 'number' ? new BytesBudget(memory) : memory;
  }

  /**
   * Exactly `length` bytes. May alias the cache: do not write to it. It stays as it is, unless memory is used again: then
   * until as much as is kept was read of others.
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
    // At the end of the image there is no window.
    if (length === 0) return new Uint8Array(0);
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

  /** What {@link read} gives, where that takes no reading of the image; else undefined. */
  peek(offset: number, length: number): Uint8Array | undefined {
    const start = offset % WINDOW;
    if (start + length > WINDOW) return undefined;
    const window = this.#windows.get((offset - start) / WINDOW);
    // At the end of the image one may be shorter.
    if (window === undefined || start + length > window.length) return undefined;
    return window.subarray(start, start + length);
  }

  /** The window that has all of a range, and where in it that begins; undefined where none has that is here. */
  windowAt(offset: number, length: number): { view: DataView; at: number } | undefined {
    const window = this.#windows.get(Math.floor(offset / WINDOW));
    const at = offset % WINDOW;
    if (window === undefined || at + length > window.length) return undefined;
    return { view: viewOf(window), at };
  }

  *#load(index: number): Flow<Uint8Array> {
    const { source } = this;
    const count = index === this.#next && source.readInto ? AHEAD : 1;
    this.#next = index + count;
    const offset = index * WINDOW;
    const length = Math.min(count * WINDOW, source.size - offset);
    const isWhole = length === AHEAD * WINDOW;
    const bytes = (isWhole && this.#free?.pop()) || new Uint8Array(length);
    if (source.readInto) source.readInto(offset, bytes);
    // A Source may reuse the memory of what it gave.
    else bytes.set(yield* wait(source.read(offset, length)));
    for (let at = 0; at < length; at += WINDOW) {
      this.#windows.set(index + at / WINDOW, bytes.subarray(at, at + WINDOW));
    }
    const drop = () => {
      for (let at = 0; at < length; at += WINDOW) this.#windows.delete(index + at / WINDOW);
      if (isWhole) this.#free?.push(bytes);
    };
    this.#budget.keep({ bytes, drop });
    // Not from the windows: what was dropped for these may have been some of the same.
    return bytes.subarray(0, WINDOW);
  }
}
