import { compareBytes } from '../../compare-bytes.ts';
import { xxh32 } from '../../xxh32.ts';
import { ContentIndex } from '../content-index.ts';
import type { Spool } from './spool.ts';

/** Finds pclusters that are stored already: files then refer to the same blocks. */
export class SharedBlocks {
  readonly #spool: Spool;
  readonly #blockSize: number;
  readonly #known = new ContentIndex();

  constructor(spool: Spool, blockSize: number) {
    this.#spool = spool;
    this.#blockSize = blockSize;
  }

  /**
   * The first block of the same bytes, where there is one before block `end`; else they are remembered to
   * lie there. What was remembered may have been given up since, and other things be written there.
   *
   * @param flush to be called before the spool is read
   */
  async find(
    bytes: Uint8Array,
    end: number,
    flush: () => Promise<void>,
  ): Promise<number | undefined> {
    const hash = xxh32(bytes.subarray(0, this.#blockSize));
    const blocks = bytes.length / this.#blockSize;
    for (const block of this.#known.find(hash, bytes.length)) {
      if (block + blocks > end) continue;
      await flush();
      const there = await this.#spool.read(block * this.#blockSize, bytes.length);
      if (compareBytes(there, bytes) === 0) return block;
    }
    this.#known.add(hash, bytes.length, end);
    return undefined;
  }
}
