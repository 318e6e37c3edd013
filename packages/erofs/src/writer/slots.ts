import { INODE_SLOT } from '../layout/inode.ts';

/**
 * Places inodes in blocks. What fits into a block never crosses one. Inodes go into the fullest block
 * that has room, the predecessor's where it is one of those, so that tails leave little unused.
 */
export class SlotAllocator {
  readonly #blockSize: number;
  /** Blocks by their free slots. */
  readonly #open: number[][];
  #current: { block: number; free: number };
  #blocks: number;

  /** @param reserved bytes at the start of the image that are taken */
  constructor(blockSize: number, reserved: number) {
    this.#blockSize = blockSize;
    this.#open = Array.from({ length: blockSize / INODE_SLOT + 1 }, () => []);
    this.#blocks = Math.ceil(reserved / blockSize);
    const free = (this.#blocks * blockSize - reserved) / INODE_SLOT;
    this.#current = { block: this.#blocks - 1, free };
  }

  /** Byte of the image after the last block in use. */
  get end(): number {
    return this.#blocks * this.#blockSize;
  }

  /** Byte of the image for `size` bytes: a multiple of 32. */
  place(size: number): number {
    const slots = Math.ceil(size / INODE_SLOT);
    const perBlock = this.#blockSize / INODE_SLOT;
    if (slots > perBlock) return this.#placeLarge(slots, perBlock);
    const better = this.#fullest(slots);
    if (better) this.#current = better;
    else if (slots > this.#current.free) this.#current = this.#fresh(perBlock);
    return this.#take(slots, perBlock);
  }

  #take(slots: number, perBlock: number): number {
    const { block, free } = this.#current;
    this.#current.free -= slots;
    return block * this.#blockSize + (perBlock - free) * INODE_SLOT;
  }

  #placeLarge(slots: number, perBlock: number): number {
    const start = this.#blocks * this.#blockSize;
    const blocks = Math.ceil(slots / perBlock);
    this.#blocks += blocks;
    this.#retire();
    this.#current = { block: this.#blocks - 1, free: blocks * perBlock - slots };
    return start;
  }

  #fresh(perBlock: number): { block: number; free: number } {
    this.#retire();
    return { block: this.#blocks++, free: perBlock };
  }

  /** A block that has room, and less of it than the present one, where that has any. */
  #fullest(slots: number): { block: number; free: number } | undefined {
    const present = this.#current.free;
    const limit = present >= slots ? present : this.#open.length;
    for (let free = slots; free < limit; free++) {
      const block = this.#open[free]!.pop();
      if (block === undefined) continue;
      this.#retire();
      return { block, free };
    }
    return undefined;
  }

  #retire(): void {
    const { block, free } = this.#current;
    if (free > 0) this.#open[free]!.push(block);
  }
}
