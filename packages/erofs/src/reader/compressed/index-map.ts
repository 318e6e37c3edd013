import type { Flow } from '@anole/bytes';
import {
  ADVISE_BIG_PCLUSTER_1,
  ADVISE_BIG_PCLUSTER_2,
  lclusterTypes,
  PCLUSTER_MAX_DECODED,
} from '../../layout/compression.ts';
import { layouts } from '../../layout/inode.ts';
import type { InodeInfo } from '../inode.ts';
import type { ImageInfo } from '../superblock.ts';
import { CompactIndexReader } from './compact-index.ts';
import { FullIndexReader } from './full-index.ts';
import type { CompressionHeader } from './header.ts';
import { badIndex, type Lcluster } from './lcluster.ts';
import { INTERLACED, type Piece, PLAIN, unstored } from './piece.ts';

interface Tail {
  /** Lcluster in which the last extent begins. */
  readonly head: number;
  /** Fragments: byte of the packed inode. Inline pclusters: byte of the space of the inode. */
  readonly start: number;
}

/** Finds the pclusters of a file by the indexes of its lclusters. Source: Linux fs/erofs/zmap.c. */
export class IndexMap {
  readonly #inode: InodeInfo;
  readonly #header: CompressionHeader;
  readonly #blockSize: number;
  readonly #indexes: CompactIndexReader | FullIndexReader;
  readonly #lclusterSize: number;
  /** Most lclusters that an extent reaches over. */
  readonly #reach: number;
  #tail: Tail | undefined;
  /** The head behind the piece that was found last: who reads on begins there. */
  #next: Lcluster | undefined;

  constructor(inode: InodeInfo, header: CompressionHeader, info: ImageInfo) {
    this.#inode = inode;
    this.#header = header;
    this.#blockSize = info.blockSize;
    this.#lclusterSize = 2 ** header.lclusterBits;
    this.#reach = PCLUSTER_MAX_DECODED / info.blockSize + 1;
    const { size } = inode.stat;
    this.#indexes =
      inode.layout === layouts.compressedFull
        ? new FullIndexReader(inode, header, Math.ceil(size / this.#lclusterSize))
        : new CompactIndexReader(inode, header, Math.ceil(size / info.blockSize));
  }

  /** Byte of the inode's space after the indexes, without what may lie inline after them. */
  get end(): number {
    const isWhole = this.#header.wholeFragment !== undefined;
    return isWhole ? this.#header.end : this.#indexes.end;
  }

  /** The piece in which a byte of the file lies. */
  *piece(offset: number): Flow<Piece> {
    const { wholeFragment } = this.#header;
    if (wholeFragment !== undefined) {
      return unstored('fragment', 0, this.#inode.stat.size, wholeFragment);
    }
    const next = this.#next;
    const goesOn = next !== undefined && this.#startOf(next) === offset;
    const number = Math.floor(offset / this.#lclusterSize);
    const first = goesOn ? next : (this.#indexes.here(number) ?? (yield* this.#indexes.at(number)));
    const head = goesOn ? next : yield* this.#head(first, offset);
    const start = this.#startOf(head);
    const end = yield* this.#end(head, first);
    if (this.#hasTail) this.#tail ??= yield* this.#findTail();
    const tail = this.#tail;
    const length = end - start;
    if (head.number === tail?.head) {
      if (this.#header.inlineSize === 0) return unstored('fragment', start, length, tail.start);
      return this.#stored(head, start, length, 'inline', tail.start, this.#header.inlineSize);
    }
    const blocks = this.#mayBeBig(head) ? yield* this.#blocks(head) : 1;
    const at = head.block * this.#blockSize;
    return this.#stored(head, start, length, 'image', at, blocks * this.#blockSize);
  }

  get #hasTail(): boolean {
    return this.#header.inlineSize > 0 || this.#header.fragment !== undefined;
  }

  *#findTail(): Flow<Tail> {
    const last = this.#inode.stat.size - 1;
    const first = yield* this.#indexes.at(Math.floor(last / this.#lclusterSize));
    const head = yield* this.#head(first, last);
    const { fragment } = this.#header;
    if (fragment === undefined) return { head: head.number, start: first.end };
    // Full indexes have room for the high half of it.
    const high = this.#inode.layout === layouts.compressedFull ? head.block : 0;
    return { head: head.number, start: fragment + high * 2 ** 32 };
  }

  #startOf(head: Lcluster): number {
    return head.number * this.#lclusterSize + head.clusterOffset;
  }

  /** The head of the pcluster that has the byte at `offset`, which lies in `first`. */
  *#head(first: Lcluster, offset: number): Flow<Lcluster> {
    let index = first;
    for (let steps = 0; ; steps++) {
      const isHead = index.type !== lclusterTypes.nonhead;
      if (isHead && index.clusterOffset >= this.#lclusterSize) {
        badIndex(this.#inode, index.number, `begins at byte ${index.clusterOffset}`, index.end);
      }
      if (isHead && this.#startOf(index) <= offset) return index;
      const back = isHead ? 1 : index.back;
      if (back === 0 || back > index.number || steps > this.#reach) {
        badIndex(this.#inode, index.number, `lies ${back} behind its head`, index.end);
      }
      const number = index.number - back;
      index = this.#indexes.here(number) ?? (yield* this.#indexes.at(number));
    }
  }

  /** Byte of the file after the pcluster of `head`, to which `first` may belong. */
  *#end(head: Lcluster, first: Lcluster): Flow<number> {
    const { size } = this.#inode.stat;
    let index = first.type === lclusterTypes.nonhead || first === head ? first : undefined;
    let number = index === undefined ? first.number : index.number;
    for (let steps = 0; ; steps++) {
      if (number * this.#lclusterSize >= size) return size;
      index ??= this.#indexes.here(number) ?? (yield* this.#indexes.at(number));
      const isHead = index.type !== lclusterTypes.nonhead;
      if (isHead && number !== head.number) {
        if (index.clusterOffset >= this.#lclusterSize) {
          badIndex(this.#inode, number, `begins at byte ${index.clusterOffset}`, index.end);
        }
        this.#next = index;
        return Math.min(size, this.#startOf(index));
      }
      if (steps > this.#reach) badIndex(this.#inode, number, 'has no end', index.end);
      // Old versions of mkfs wrote 0 for 1.
      number += Math.max(1, index.ahead);
      index = undefined;
    }
  }

  /** Whether a pcluster may have several blocks. */
  #mayBeBig({ type, number }: Lcluster): boolean {
    const flag = type === lclusterTypes.head1 ? ADVISE_BIG_PCLUSTER_1 : ADVISE_BIG_PCLUSTER_2;
    const isLast = (number + 1) * this.#lclusterSize >= this.#inode.stat.size;
    return (this.#header.advise & flag) !== 0 && !isLast;
  }

  *#blocks(head: Lcluster): Flow<number> {
    const next = head.number + 1;
    const index = this.#indexes.here(next) ?? (yield* this.#indexes.at(next));
    if (index.type !== lclusterTypes.nonhead) return 1;
    if (index.blocks > 0) return index.blocks;
    return badIndex(this.#inode, next, 'lacks the size of its pcluster', index.end);
  }

  #stored(
    head: Lcluster,
    offset: number,
    length: number,
    kind: 'image' | 'inline',
    start: number,
    size: number,
  ): Piece {
    const { head1, head2, interlaced } = this.#header;
    let format = head.type === lclusterTypes.head1 ? head1 : head2;
    if (head.type === lclusterTypes.plain) format = interlaced ? INTERLACED : PLAIN;
    return { offset, length, kind, start, size, format, partial: head.partial };
  }
}
