/** As EROFS reads them. */
const BLOCK = 4096;
/** Blocks that are noted: those of 64 GiB, in 2 MiB. Whoever reads behind that is always asked for. */
const MOST = 2 ** 24;

/**
 * Which blocks of a file whose contents come when they are read are there, one bit for each, in memory that threads
 * share.
 */
export class ReadyBlocks {
  /** Bytes of the file. */
  readonly size: number;
  readonly words: Int32Array<SharedArrayBuffer>;

  /** @param words of one that another thread has */
  constructor(size: number, words?: Int32Array<SharedArrayBuffer>) {
    this.size = size;
    const count = Math.ceil(Math.min(MOST, Math.ceil(size / BLOCK)) / 32);
    this.words = words ?? new Int32Array(new SharedArrayBuffer(4 * count));
  }

  /** Notes those that lie in a range; the last block of the file has bytes up to its end. */
  put(start: number, end: number): void {
    const last = end >= this.size ? Math.ceil(this.size / BLOCK) : Math.floor(end / BLOCK);
    for (const [word, bits] of this.#bits(Math.ceil(start / BLOCK), last)) {
      Atomics.or(this.words, word, bits);
    }
  }

  /** Takes back those of which a range has any byte: they are not there any more. */
  take(start: number, end: number): void {
    for (const [word, bits] of this.#bits(Math.floor(start / BLOCK), Math.ceil(end / BLOCK))) {
      Atomics.and(this.words, word, ~bits);
    }
  }

  /** Whether all bytes of a range are there, but for those behind the end of the file. */
  has(offset: number, length: number): boolean {
    const end = Math.min(this.size, offset + length);
    const bound = Math.ceil(end / BLOCK);
    if (bound > 32 * this.words.length) return false;
    for (let block = Math.floor(offset / BLOCK); block < bound; ) {
      const count = Math.min(32 - (block & 31), bound - block);
      const bits = bitsOf(block, count);
      if ((Atomics.load(this.words, block >>> 5) & bits) !== bits) return false;
      block += count;
    }
    return true;
  }

  /** Words and their bits, of blocks [first, end) as far as they are noted. */
  *#bits(first: number, end: number): Iterable<readonly [word: number, bits: number]> {
    const bound = Math.min(end, 32 * this.words.length);
    for (let block = first; block < bound; ) {
      const count = Math.min(32 - (block & 31), bound - block);
      yield [block >>> 5, bitsOf(block, count)];
      block += count;
    }
  }
}

/** The bits of blocks of one word. */
function bitsOf(block: number, count: number): number {
  return count === 32 ? -1 : ((1 << count) - 1) << (block & 31);
}
