import { BytesBudget, type Flow, type Source, viewOf, wait } from '@anole/bytes';
import { damaged } from '../errors.ts';

/** Bytes of the image read and kept at once. What is far apart shall not cost much over a network. */
const WINDOW = 4096;
/**
 * Windows read at once where the one before was read last: of Sources that answer at once, which are near. Then it is
 * the number of reads that costs.
 */
const AHEAD = 16;

/** Windows that were read at once, and lie in one piece of memory. */
export interface Piece {
  /** Byte at which they begin. */
  readonly start: number;
  readonly bytes: Uint8Array;
  /** Of the same memory. */
  readonly view: DataView;
}

/**
 * Metadata of an image through a cache of windows, the longest unused of which goes first. Ranges
 * are bounded by the image before anything is allocated.
 */
export class Metadata {
  readonly source: Source;
  /** Tells spaces apart; empty for the image itself. */
  readonly name: string;
  readonly #windows = new Map<number, Piece>();
  /** Looked at last: what comes next mostly lies there, too. */
  #last: Piece | undefined;
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
    const here = this.pieceAt(offset, length);
    if (here) return here.bytes.subarray(offset - here.start, offset - here.start + length);
    const first = yield* this.#at(offset);
    const from = offset - first.start;
    if (from + length <= first.bytes.length) return first.bytes.subarray(from, from + length);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const piece = yield* this.#at(at);
      const part = piece.bytes.subarray(at - piece.start, at - piece.start + length - done);
      bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  }

  /** The piece of memory that has all of a range, which is not empty; undefined where none has that is here. */
  pieceAt(offset: number, length: number): Piece | undefined {
    const last = this.#last;
    const isThere = last && offset >= last.start && offset < last.start + last.bytes.length;
    const piece = isThere ? last : this.#windows.get(Math.floor(offset / WINDOW));
    // At the end of the image one may be shorter.
    if (piece === undefined || offset - piece.start + length > piece.bytes.length) return undefined;
    this.#last = piece;
    return piece;
  }

  *#at(offset: number): Flow<Piece> {
    const index = Math.floor(offset / WINDOW);
    return this.#windows.get(index) ?? (yield* this.#load(index));
  }

  *#load(index: number): Flow<Piece> {
    const { source } = this;
    const count = index === this.#next && source.readInto ? AHEAD : 1;
    this.#next = index + count;
    const start = index * WINDOW;
    const length = Math.min(count * WINDOW, source.size - start);
    const isWhole = length === AHEAD * WINDOW;
    const bytes = (isWhole && this.#free?.pop()) || new Uint8Array(length);
    if (source.readInto) source.readInto(start, bytes);
    // A Source may reuse the memory of what it gave.
    else bytes.set(yield* wait(source.read(start, length)));
    const piece = { start, bytes, view: viewOf(bytes) };
    const end = index + Math.ceil(length / WINDOW);
    for (let window = index; window < end; window++) this.#windows.set(window, piece);
    const drop = () => {
      // Some may have been read again since.
      for (let window = index; window < end; window++) {
        if (this.#windows.get(window) === piece) this.#windows.delete(window);
      }
      if (this.#last === piece) this.#last = undefined;
      if (isWhole) this.#free?.push(bytes);
    };
    this.#budget.keep({ bytes, drop });
    return piece;
  }
}
