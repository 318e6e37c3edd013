import { type Flow, viewOf } from '@anole/bytes';
import {
  ADVISE_BIG_PCLUSTER_1,
  ADVISE_COMPACTED_2B,
  INDEX_BLOCK_COUNT,
  lclusterTypes,
} from '../../layout/compression.ts';
import type { InodeInfo } from '../inode.ts';
import type { CompressionHeader } from './header.ts';
import { badIndex, type Lcluster } from './lcluster.ts';

/** Packs of 2-byte entries begin at multiples of this. */
const PACK_2B = 32;
const ENTRIES_2B = 16;
const PACK_4B = 8;
const ENTRIES_4B = 2;
/** A pack ends with the number of a block. */
const BLOCK_NUMBER = 4;

interface Pack {
  /** Lcluster of its first entry. */
  readonly first: number;
  readonly offset: number;
  readonly size: number;
  readonly entries: number;
}

/**
 * Indexes of two or four bytes in packs of 16 or 2. An entry holds a type and a value (`low`): of
 * heads where the data begin, of nonheads a distance. The last entry of a pack holds the distance
 * ahead if it is a nonhead, the others that back. Source: Linux fs/erofs/zmap.c.
 */
export class CompactIndexReader {
  readonly #inode: InodeInfo;
  readonly #header: CompressionHeader;
  readonly #isBig: boolean;
  readonly #count: number;
  readonly #lowBits: number;
  /** Lclusters in packs of 4-byte entries before those of 2, and those of 2. */
  readonly #initial: number;
  readonly #middle: number;
  #pack: Pack | undefined;
  /** Decoded entries of `#pack`. */
  #types: Uint8Array = new Uint8Array(0);
  #lows: Uint16Array = new Uint16Array(0);
  #base = 0;

  /** @param count indexes of the file */
  constructor(inode: InodeInfo, header: CompressionHeader, count: number) {
    this.#inode = inode;
    this.#header = header;
    this.#count = count;
    this.#isBig = (header.advise & ADVISE_BIG_PCLUSTER_1) !== 0;
    this.#lowBits = Math.max(header.lclusterBits, Math.log2(INDEX_BLOCK_COUNT) + 1);
    this.#initial = ((PACK_2B - (header.end % PACK_2B)) / 4) & 7;
    const has2B = (header.advise & ADVISE_COMPACTED_2B) !== 0 && this.#initial < count;
    const rest = count - this.#initial;
    this.#middle = has2B ? rest - (rest % ENTRIES_2B) : 0;
    if (header.lclusterBits > (this.#middle > 0 ? 12 : 14)) {
      badIndex(inode, 0, `has 2^${header.lclusterBits} bytes, too many for its index`, header.end);
    }
  }

  /** Byte after the last pack. */
  get end(): number {
    if (this.#count === 0) return this.#header.end;
    const { offset, size } = this.#packOf(this.#count - 1);
    return offset + size;
  }

  /** Where what is in memory tells it: most are in the same pack as the one before. */
  here(number: number): Lcluster | undefined {
    const pack = this.#pack;
    if (pack === undefined || number < pack.first || number >= pack.first + pack.entries) {
      return undefined;
    }
    return this.#entry(pack, number, number - pack.first);
  }

  /** @throws ErofsError `EROFS_BAD_INODE`, `EROFS_OUT_OF_RANGE` */
  *at(number: number): Flow<Lcluster> {
    const pack = this.#packOf(number);
    this.#unpack(pack, yield* this.#inode.space.read(pack.offset, pack.size, 'indexes'));
    return this.#entry(pack, number, number - pack.first);
  }

  #packOf(number: number): Pack {
    const { end } = this.#header;
    const start2B = end + this.#initial * 4;
    const inside = number - this.#initial;
    if (inside >= 0 && inside < this.#middle) {
      const index = Math.floor(inside / ENTRIES_2B);
      const first = this.#initial + index * ENTRIES_2B;
      return { first, offset: start2B + index * PACK_2B, size: PACK_2B, entries: ENTRIES_2B };
    }
    // Both the header's end and the end of the 2-byte packs are multiples of a pack of 4-byte entries.
    const isBefore = inside < 0;
    const from = isBefore ? 0 : this.#initial + this.#middle;
    const base = isBefore ? end : start2B + this.#middle * 2;
    const index = Math.floor((number - from) / ENTRIES_4B);
    const first = from + index * ENTRIES_4B;
    return { first, offset: base + index * PACK_4B, size: PACK_4B, entries: ENTRIES_4B };
  }

  #unpack(pack: Pack, bytes: Uint8Array): void {
    const view = viewOf(bytes);
    const bits = ((pack.size - BLOCK_NUMBER) * 8) / pack.entries;
    const types = new Uint8Array(pack.entries);
    const lows = new Uint16Array(pack.entries);
    for (let index = 0; index < pack.entries; index++) {
      const at = index * bits;
      const value = view.getUint32(at >> 3, true) >>> (at & 7);
      lows[index] = value & ((1 << this.#lowBits) - 1);
      types[index] = (value >>> this.#lowBits) & 3;
    }
    this.#pack = pack;
    this.#types = types;
    this.#lows = lows;
    this.#base = view.getUint32(pack.size - BLOCK_NUMBER, true);
  }

  #entry(pack: Pack, number: number, index: number): Lcluster {
    const type = this.#types[index]!;
    const low = this.#lows[index]!;
    const entry = { number, type, partial: false, end: pack.offset + pack.size };
    if (type !== lclusterTypes.nonhead) {
      const block = this.#base + this.#blocksBefore(pack, index);
      return { ...entry, clusterOffset: low, block, back: 0, ahead: 0, blocks: 0 };
    }
    const hasBlocks = (low & INDEX_BLOCK_COUNT) !== 0;
    if (hasBlocks && !this.#isBig) {
      badIndex(this.#inode, number, 'has a size where none may be', pack.offset);
    }
    return {
      ...entry,
      clusterOffset: 0,
      block: 0,
      back: hasBlocks ? 1 : this.#back(pack, index, low),
      ahead: this.#ahead(pack, index),
      blocks: hasBlocks ? low & ~INDEX_BLOCK_COUNT : 0,
    };
  }

  /** The last entry does not hold the distance back, but the one before it does. */
  #back(pack: Pack, index: number, low: number): number {
    if (index + 1 < pack.entries) return low;
    if (this.#types[index - 1] !== lclusterTypes.nonhead) return 1;
    const before = this.#lows[index - 1]!;
    return (before & INDEX_BLOCK_COUNT) !== 0 ? 2 : before + 1;
  }

  #ahead(pack: Pack, index: number): number {
    for (let next = index; next < pack.entries; next++) {
      if (this.#types[next] !== lclusterTypes.nonhead) return next - index;
    }
    const low = this.#lows[pack.entries - 1]!;
    const beyond = (low & INDEX_BLOCK_COUNT) !== 0 ? 0 : low - 1;
    return pack.entries - index + beyond;
  }

  /** Blocks from the pack's number to the pcluster of a head, by what the pack tells of those before. */
  #blocksBefore(pack: Pack, head: number): number {
    // Without big pclusters the number is that of the block before the first one.
    let blocks = this.#isBig ? 0 : 1;
    for (let index = head - 1; index >= 0; index--) {
      const low = this.#lows[index]!;
      if (this.#types[index] !== lclusterTypes.nonhead) {
        blocks++;
      } else if (!this.#isBig) {
        index -= low;
        if (index >= 0) blocks++;
      } else if ((low & INDEX_BLOCK_COUNT) !== 0) {
        // The head before this entry is counted with it.
        blocks += low & ~INDEX_BLOCK_COUNT;
        index--;
      } else if (low < 2) {
        badIndex(this.#inode, pack.first + index, `lies ${low} behind a big head`, pack.offset);
      } else {
        // On to the entry right behind the head, which has the size.
        index -= low - 2;
      }
    }
    return blocks;
  }
}
