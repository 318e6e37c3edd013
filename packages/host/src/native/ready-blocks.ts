/** As EROFS reads them. */
const BLOCK = 4096;
/** Blocks that are noted: those of 64 GiB, in 2 MiB. Whoever reads behind that is always asked for. */
const MOST = 2 ** 24;

/**
 * Which blocks of a file whose contents come when they are read are there for good, one bit for each, in memory that
 * threads share.
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
    const bound = Math.min(last, 32 * this.words.length);
    for (let block = Math.ceil(start / BLOCK); block < bound; ) {
      const count = Math.min(32 - (block & 31), bound - block);
      const bits = count === 32 ? -1 : ((1 << count) - 1) << (block & 31);
      Atomics.or(this.words, block >>> 5, bits);
      block += count;
    }
  }

  /** Whether all bytes of a range are there, but for those behind the end of the file. */
  has(offset: number, length: number): boolean {
    const end = Math.min(this.size, offset + length);
    const bound = Math.ceil(end / BLOCK);
    if (bound > 32 * this.words.length) return false;
    for (let block = Math.floor(offset / BLOCK); block < bound; block++) {
      if (((Atomics.load(this.words, block >>> 5) >>> (block & 31)) & 1) === 0) return false;
    }
    return true;
  }
}
