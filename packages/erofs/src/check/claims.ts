import { INODE_SLOT } from '../layout/inode.ts';

const PAGE = 65536;

/**
 * Bounds the work for images in which everything refers to everything: what is claimed when it is
 * used up counts as shared.
 */
export class Budget {
  #left: number;

  constructor(steps: number) {
    this.#left = steps;
  }

  get isSpent(): boolean {
    return this.#left <= 0;
  }

  /** Whether so many steps may be taken. */
  spend(steps: number): boolean {
    this.#left -= steps;
    return this.#left > 0;
  }
}

/** A byte for each of many things, of which few are set. */
class SparseBytes {
  readonly #pages = new Map<number, Uint8Array>();

  get(index: number): number {
    return this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE] ?? 0;
  }

  set(index: number, value: number): void {
    const number = Math.floor(index / PAGE);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Uint8Array(PAGE);
      this.#pages.set(number, page);
    }
    page[index % PAGE] = value;
  }

  /** How many have one of the values for which `counts` is true. */
  count(counts: (value: number) => boolean): number {
    const wanted = Uint8Array.from({ length: 256 }, (_, value) => (counts(value) ? 1 : 0));
    let sum = 0;
    for (const page of this.#pages.values()) for (const value of page) sum += wanted[value]!;
    return sum;
  }
}

/** Of slots. */
const INODE = 1;
const BEHIND_INODE = 2;
const COMMON = 3;

/**
 * Who uses which 32 bytes of metadata: an inode with what stands behind it, alone; or something
 * that many refer to. Takes a 32nd of the metadata.
 */
export class SlotClaims {
  readonly #slots = new SparseBytes();
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Whether an inode was claimed that begins there. */
  isInode(offset: number): boolean {
    return this.#slots.get(Math.floor(offset / INODE_SLOT)) === INODE;
  }

  /** Claims for one inode; gives the byte at which something else lies already, if any. */
  claim(offset: number, length: number, isInode: boolean): number | undefined {
    const first = Math.floor(offset / INODE_SLOT);
    // What is packed behind an inode begins in a slot that the inode has.
    const from = !isInode && offset % INODE_SLOT !== 0 ? first + 1 : first;
    const end = Math.ceil((offset + length) / INODE_SLOT);
    if (!this.#budget.spend(end - from)) {
      if (isInode) this.#slots.set(first, INODE);
      return undefined;
    }
    for (let slot = from; slot < end; slot++) {
      if (this.#slots.get(slot) !== 0) return slot * INODE_SLOT;
    }
    for (let slot = from; slot < end; slot++) this.#slots.set(slot, BEHIND_INODE);
    if (isInode) this.#slots.set(first, INODE);
    return undefined;
  }

  /** Claims for what may be referred to often; gives the byte at which an inode lies, if any. */
  claimCommon(offset: number, length: number): number | undefined {
    const first = Math.floor(offset / INODE_SLOT);
    const end = Math.ceil((offset + length) / INODE_SLOT);
    if (!this.#budget.spend(end - first)) return undefined;
    for (let slot = first; slot < end; slot++) {
      const state = this.#slots.get(slot);
      if (state === INODE || state === BEHIND_INODE) return slot * INODE_SLOT;
      this.#slots.set(slot, COMMON);
    }
    return undefined;
  }
}

/** Of blocks. */
const META = 1;
const START = 2;
const INNER = 3;
/** Holds pieces that begin or end inside a block. */
const PACKED = 4;
/** Holds chunks. */
const CHUNK = 5;
const SHARED = 0x80;

/**
 * Blocks for themselves; chunks, which may overlap; or compressed data that begin or end inside a
 * block, which others share with them.
 */
export type BlockUse = 'run' | 'chunk' | 'packed';

/** Who uses which block of one device. Takes a byte for each block in use. */
export class BlockClaims {
  readonly #blocks = new SparseBytes();
  readonly #blockSize: number;
  readonly #budget: Budget;

  constructor(blockSize: number, budget: Budget) {
    this.#blockSize = blockSize;
    this.#budget = budget;
  }

  /** Claims blocks for metadata; gives the byte at which data lie, if any. */
  claimMetadata(offset: number, length: number): number | undefined {
    const first = this.#of(offset);
    const end = this.#end(offset, length);
    if (!this.#budget.spend(end - first)) return undefined;
    for (let block = first; block < end; block++) {
      const state = this.#blocks.get(block);
      if (state !== 0 && state !== META) return block * this.#blockSize;
      this.#blocks.set(block, META);
    }
    return undefined;
  }

  /**
   * Claims blocks for data. The same run again is shared on purpose (deduplication), and so are
   * chunks in any way; runs that overlap otherwise are not. Gives `new`, `shared`, or the byte at
   * which something else lies.
   */
  claim(offset: number, length: number, use: BlockUse): 'new' | 'shared' | number {
    const first = this.#of(offset);
    const end = this.#end(offset, length);
    if (!this.#budget.spend(end - first)) return 'shared';
    if (use !== 'run') return this.#claimLoosely(first, end, use === 'chunk' ? CHUNK : PACKED);
    let free = 0;
    for (let block = first; block < end; block++) {
      const state = this.#blocks.get(block);
      const same = block === first ? START : INNER;
      if (state === 0) free++;
      else if ((state & ~SHARED) !== same || free > 0) return block * this.#blockSize;
    }
    if (free === 0) {
      if ((this.#blocks.get(end) & ~SHARED) === INNER) return end * this.#blockSize;
      for (let block = first; block < end; block++) {
        this.#blocks.set(block, this.#blocks.get(block) | SHARED);
      }
      return 'shared';
    }
    if (free < end - first) return first * this.#blockSize;
    for (let block = first; block < end; block++) {
      this.#blocks.set(block, block === first ? START : INNER);
    }
    return 'new';
  }

  /** Blocks in use, and those of them with metadata and those that are used more than once. */
  counts(): { readonly used: number; readonly metadata: number; readonly shared: number } {
    return {
      used: this.#blocks.count((value) => value !== 0),
      metadata: this.#blocks.count((value) => value === META),
      shared: this.#blocks.count((value) => (value & SHARED) !== 0),
    };
  }

  #claimLoosely(first: number, end: number, use: number): 'new' | 'shared' | number {
    let result: 'new' | 'shared' = 'new';
    for (let block = first; block < end; block++) {
      const state = this.#blocks.get(block);
      if (state !== 0 && (state & ~SHARED) !== use) return block * this.#blockSize;
      if (state !== 0) result = 'shared';
      // Neighbours in one block are not the same data.
      this.#blocks.set(block, state === 0 || use === PACKED ? use : use | SHARED);
    }
    return result;
  }

  #of(offset: number): number {
    return Math.floor(offset / this.#blockSize);
  }

  #end(offset: number, length: number): number {
    return Math.ceil((offset + length) / this.#blockSize);
  }
}
