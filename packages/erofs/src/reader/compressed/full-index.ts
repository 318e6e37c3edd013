import { type Flow, viewOf } from '@anole/bytes';
import {
  ADVISE_BIG_PCLUSTER_1,
  ADVISE_BIG_PCLUSTER_2,
  FULL_INDEX_GAP,
  FULL_INDEX_SIZE,
  FullIndex,
  INDEX_BLOCK_COUNT,
  INDEX_PARTIAL_REF,
  INDEX_TYPE_MASK,
  lclusterTypes,
} from '../../layout/compression.ts';
import type { InodeInfo } from '../inode.ts';
import type { CompressionHeader } from './header.ts';
import { badIndex, type Lcluster } from './lcluster.ts';

/** Indexes looked at together. */
const GROUP = 512;

/** Indexes of eight bytes, one for each lcluster. Source: Linux fs/erofs/zmap.c. */
export class FullIndexReader {
  readonly #inode: InodeInfo;
  readonly #header: CompressionHeader;
  readonly #count: number;
  #group = -1;
  #view: DataView = new DataView(new ArrayBuffer(0));

  /** @param count lclusters of the file */
  constructor(inode: InodeInfo, header: CompressionHeader, count: number) {
    this.#inode = inode;
    this.#header = header;
    this.#count = count;
  }

  /** Byte after the last index. */
  get end(): number {
    return this.#base + this.#count * FULL_INDEX_SIZE;
  }

  /** Where what is in memory tells it: most are in the same group as the one before. */
  here(number: number): Lcluster | undefined {
    return Math.floor(number / GROUP) === this.#group ? this.#decode(number) : undefined;
  }

  /** @throws ErofsError `EROFS_BAD_INODE`, `EROFS_OUT_OF_RANGE` */
  *at(number: number): Flow<Lcluster> {
    const group = Math.floor(number / GROUP);
    const count = Math.min(GROUP, this.#count - group * GROUP);
    const start = this.#base + group * GROUP * FULL_INDEX_SIZE;
    const size = count * FULL_INDEX_SIZE;
    this.#view = viewOf(yield* this.#inode.space.read(start, size, 'indexes'));
    this.#group = group;
    return this.#decode(number);
  }

  /** Byte of the first index. */
  get #base(): number {
    return this.#header.end + FULL_INDEX_GAP;
  }

  /** Of the group at hand. */
  #decode(number: number): Lcluster {
    const view = this.#view;
    const at = (number % GROUP) * FULL_INDEX_SIZE;
    const offset = this.#base + number * FULL_INDEX_SIZE;
    const advise = view.getUint16(at, true);
    const type = advise & INDEX_TYPE_MASK;
    const block = view.getUint32(at + FullIndex.offsets.block, true);
    const index = { number, type, block, end: offset + FULL_INDEX_SIZE };
    if (type !== lclusterTypes.nonhead) {
      const clusterOffset = view.getUint16(at + FullIndex.offsets.clusterOffset, true);
      const partial = (advise & INDEX_PARTIAL_REF) !== 0;
      return { ...index, clusterOffset, partial, back: 0, ahead: 0, blocks: 0 };
    }
    const distance = block & 0xffff;
    const hasBlocks = (distance & INDEX_BLOCK_COUNT) !== 0;
    if (
      hasBlocks &&
      (this.#header.advise & (ADVISE_BIG_PCLUSTER_1 | ADVISE_BIG_PCLUSTER_2)) === 0
    ) {
      badIndex(this.#inode, number, 'has a size where none may be', offset);
    }
    return {
      ...index,
      clusterOffset: 0,
      partial: false,
      back: hasBlocks ? 1 : distance,
      ahead: block >>> 16,
      blocks: hasBlocks ? distance & ~INDEX_BLOCK_COUNT : 0,
    };
  }
}
