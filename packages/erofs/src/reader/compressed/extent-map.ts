import { type Flow, viewOf } from '@anole/bytes';
import { damaged } from '../../errors.ts';
import {
  ADVISE_FRAGMENT,
  ADVISE_RECORD_MASK,
  ADVISE_RECORD_SHIFT,
  EXTENT_FORMAT_SHIFT,
  EXTENT_LENGTH_MASK,
  EXTENT_PARTIAL,
  ExtentRecord,
} from '../../layout/compression.ts';
import type { InodeInfo } from '../inode.ts';
import type { ImageInfo } from '../superblock.ts';
import type { CompressionHeader } from './header.ts';
import { INTERLACED, type Piece, PLAIN, unstored } from './piece.ts';

const HIGH = 2 ** 32;
/** Bytes of a record that hold a length only, and a length and the low half of an address. */
const LENGTHS_ONLY = 4;
const LOW_ADDRESSES = 8;
/** Before records of lengths only stands where the first pcluster lies. */
const FIRST_ADDRESS = 8;

interface Record {
  readonly length: number;
  readonly start: number;
  /** Byte of the file; of short records by their place. */
  readonly logical: number;
}

/** Finds the pclusters of a file by its extent records. Source: Linux fs/erofs/zmap.c. */
export class ExtentMap {
  readonly #inode: InodeInfo;
  readonly #header: CompressionHeader;
  readonly #count: number;
  readonly #blockSize: number;
  readonly #recordSize: number;
  readonly #lclusterSize: number;
  /** Byte of the inode's space at which the records begin. */
  readonly #base: number;
  /** A record of lengths only, and where its pcluster lies: from there on it is not far to the next. */
  #known = { number: 0, start: -1 };

  constructor(inode: InodeInfo, header: CompressionHeader, info: ImageInfo, count: number) {
    this.#inode = inode;
    this.#header = header;
    this.#count = count;
    this.#blockSize = info.blockSize;
    this.#lclusterSize = 2 ** header.lclusterBits;
    const shift = (header.advise >> ADVISE_RECORD_SHIFT) & ADVISE_RECORD_MASK;
    this.#recordSize = LENGTHS_ONLY << shift;
    const lead = this.#recordSize === LENGTHS_ONLY ? FIRST_ADDRESS : 0;
    this.#base = Math.ceil(header.end / this.#recordSize) * this.#recordSize + lead;
  }

  /** Byte of the inode's space after the records. */
  get end(): number {
    // Short records lie one for each lcluster: then no number of them is stored.
    const isByPlace = this.#recordSize <= LOW_ADDRESSES;
    const byPlace = Math.ceil(this.#inode.stat.size / this.#lclusterSize);
    return this.#base + (isByPlace ? byPlace : this.#count) * this.#recordSize;
  }

  /** The piece in which a byte of the file lies. */
  *piece(offset: number): Flow<Piece> {
    return this.#recordSize <= LOW_ADDRESSES
      ? yield* this.#byPlace(offset)
      : yield* this.#bySearch(offset);
  }

  /** Short records: one for each lcluster. */
  *#byPlace(offset: number): Flow<Piece> {
    const { size } = this.#inode.stat;
    const number = Math.floor(offset / this.#lclusterSize);
    const record =
      this.#recordSize === LENGTHS_ONLY ? yield* this.#counted(number) : yield* this.#at(number);
    const start = number * this.#lclusterSize;
    const end = Math.min(size, start + this.#lclusterSize);
    return this.#piece(record, start, end, end === size);
  }

  /** Records of lengths only are added up. */
  *#counted(number: number): Flow<Record> {
    let { number: at, start } = this.#known;
    if (start < 0 || at > number) {
      at = 0;
      const lead = yield* this.#inode.space.read(
        this.#base - FIRST_ADDRESS,
        FIRST_ADDRESS,
        'extents',
      );
      start = viewOf(lead).getUint32(0, true) + viewOf(lead).getUint32(4, true) * HIGH;
    }
    for (; at < number; at++) start += (yield* this.#length(at)) & EXTENT_LENGTH_MASK;
    this.#known = { number, start };
    return { length: yield* this.#length(number), start, logical: number * this.#lclusterSize };
  }

  *#length(number: number): Flow<number> {
    const bytes = yield* this.#inode.space.read(this.#base + number * LENGTHS_ONLY, 4, 'an extent');
    return viewOf(bytes).getUint32(0, true);
  }

  *#at(number: number): Flow<Record> {
    const offset = this.#base + number * this.#recordSize;
    const view = viewOf(yield* this.#inode.space.read(offset, this.#recordSize, 'an extent'));
    const { offsets } = ExtentRecord;
    const length = view.getUint32(0, true);
    const low = view.getUint32(offsets.start, true);
    if (this.#recordSize === LOW_ADDRESSES) return { length, start: low, logical: 0 };
    const start = low + view.getUint32(offsets.startHigh, true) * HIGH;
    let logical = view.getUint32(offsets.logical, true);
    if (this.#recordSize > offsets.logicalHigh) {
      logical += view.getUint32(offsets.logicalHigh, true) * HIGH;
    }
    return { length, start, logical };
  }

  /** Long records: sorted by where in the file they begin. */
  *#bySearch(offset: number): Flow<Piece> {
    const { size } = this.#inode.stat;
    let low = 0;
    let high = this.#count;
    let end = size;
    let found: Record | undefined;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const record = yield* this.#at(middle);
      if (record.logical > offset) {
        high = middle;
        end = Math.min(end, record.logical);
      } else {
        low = middle + 1;
        found = record;
      }
    }
    // Before the first record nothing is stored.
    if (found === undefined) return unstored('hole', 0, end, 0);
    return this.#piece(found, found.logical, end, low === this.#count);
  }

  #piece({ length, start }: Record, offset: number, end: number, isLast: boolean): Piece {
    const bytes = end - offset;
    if (isLast && (this.#header.advise & ADVISE_FRAGMENT) !== 0) {
      const high = this.#recordSize > LENGTHS_ONLY ? start : 0;
      return unstored('fragment', offset, bytes, length + high * HIGH);
    }
    const size = length & EXTENT_LENGTH_MASK;
    if (size === 0) return unstored('hole', offset, bytes, 0);
    if (!Number.isSafeInteger(start)) {
      throw damaged(
        'EROFS_BAD_INODE',
        `Cannot read inode ${this.#inode.nid}: an extent lies at byte ${start}`,
        this.#base,
      );
    }
    const code = length >>> EXTENT_FORMAT_SHIFT;
    const isWhole = start % this.#blockSize === 0 && size % this.#blockSize === 0;
    const plain = this.#header.interlaced && isWhole ? INTERLACED : PLAIN;
    return {
      offset,
      length: bytes,
      kind: 'image',
      start,
      size,
      format: code === 0 ? plain : code <= 4 ? code - 1 : code + INTERLACED,
      partial: (length & EXTENT_PARTIAL) !== 0,
    };
  }
}
