import { COMPACT_SIZE } from '../../layout/inode.ts';
import type { Inode } from '../inode.ts';
import { coreSize } from '../measure.ts';
import type { Compressed } from './compressed.ts';
import { indexesSize } from './index-packs.ts';
import type { CompressionSettings, Variant } from './options.ts';
import type { Packed } from './packed.ts';
import { type CompressedPiece, pad } from './piece.ts';
import type { SharedBlocks } from './shared-blocks.ts';
import type { Spool } from './spool.ts';
import { SpoolWriter } from './spool-writer.ts';

/** Offsets of parts of files in the packed inode have 32 bits. */
const FRAGMENT_MAX = 2 ** 32;

/** What a builder writes to. */
export interface BuilderOutputs {
  /** Compressed data in whole blocks, as they will lie in the image. */
  readonly blocks: Spool;
  /** Ends that lie beside inodes. */
  readonly ends: Spool | undefined;
  readonly packed: Packed | undefined;
  /** Where blocks of equal pclusters are to be shared. */
  readonly shared: SharedBlocks | undefined;
}

/** Puts the pieces of one file after another where they go, and says of each file how it is stored. */
export class FileBuilder {
  readonly #settings: CompressionSettings;
  readonly #blockSize: number;
  readonly #outputs: BuilderOutputs;
  readonly #writer: SpoolWriter;
  /** End of what is in use of the blocks, and of the ends, in bytes. */
  #used = 0;
  #endsUsed = 0;
  // Of the file at hand:
  #variant: Variant;
  #extents: number[] = [];
  /** Where each pcluster begins that is not inline, where blocks are shared. */
  #places: number[] = [];
  #length = 0;
  #stored = 0;
  #inlineSize = 0;

  constructor(settings: CompressionSettings, outputs: BuilderOutputs) {
    this.#settings = settings;
    this.#blockSize = settings.blockSize;
    this.#outputs = outputs;
    this.#writer = new SpoolWriter(outputs.blocks);
    this.#variant = settings.variants[0]!;
  }

  /** Blocks so far. */
  get blocks(): number {
    return this.#used / this.#blockSize;
  }

  /**
   * Takes the next piece of a file, which lies in `memory`, compressed by `variant`; with the last one, sets the inode's
   * `compressed`.
   */
  async add(
    inode: Inode,
    memory: Uint8Array,
    fragmentAt: number,
    piece: CompressedPiece,
    variant: number,
  ): Promise<void> {
    this.#variant = this.#settings.variants[variant]!;
    await this.#store(inode, memory, piece);
    const { fragmentSize } = piece;
    if (this.#length + fragmentSize < inode.size) return;
    let offset: number | undefined;
    if (fragmentSize > 0) {
      const fragment = memory.subarray(fragmentAt, fragmentAt + fragmentSize);
      offset = await this.#outputs.packed!.place(fragment);
      this.#extents.push(fragmentSize, 0, 0);
    }
    const compressed = this.#finish(inode, offset);
    if (this.#worthwhile(inode, compressed)) {
      inode.compressed = compressed;
      this.#used += this.#stored;
      this.#endsUsed += this.#inlineSize;
    }
    this.#extents = [];
    this.#places = [];
    this.#length = 0;
    this.#stored = 0;
    this.#inlineSize = 0;
  }

  /** What lies in memory is written: that can be used again. */
  async flush(): Promise<void> {
    await this.#writer.flush();
  }

  async #store(inode: Inode, memory: Uint8Array, piece: CompressedPiece): Promise<void> {
    const { extents, start, tailSize } = piece;
    for (const value of extents) this.#extents.push(value);
    for (let extent = 0; extent < extents.length; extent += 3) this.#length += extents[extent]!;
    const end = piece.end - tailSize;
    if (this.#outputs.shared) await this.#share(this.#outputs.shared, memory, piece);
    else if (end > start) await this.#append(memory, start, end);
    if (tailSize === 0) return;
    if (this.#fitsBeside(inode, tailSize)) {
      this.#inlineSize = tailSize;
      await this.#outputs.ends!.write(this.#endsUsed, memory.subarray(end, piece.end));
      return;
    }
    const block = new Uint8Array(this.#blockSize);
    block.set(memory.subarray(end, piece.end));
    pad(block, 0, tailSize, extents.at(-1) === 1, this.#blockSize);
    if (this.#outputs.shared) this.#places.push((this.#used + this.#stored) / this.#blockSize);
    await this.#append(block, 0, block.length);
  }

  /** Stores the pclusters of a piece that are not stored yet. */
  async #share(shared: SharedBlocks, memory: Uint8Array, piece: CompressedPiece): Promise<void> {
    const { extents, start, tailSize } = piece;
    const flush = () => this.flush();
    const count = extents.length / 3 - (tailSize > 0 ? 1 : 0);
    let at = start;
    for (let index = 0; index < count; index++) {
      const blocks = Math.ceil(extents[index * 3 + 1]! / this.#blockSize);
      const to = at + blocks * this.#blockSize;
      const next = (this.#used + this.#stored) / this.#blockSize;
      const place = await shared.find(memory.subarray(at, to), next, flush);
      this.#places.push(place ?? next);
      if (place === undefined) await this.#append(memory, at, to);
      at = to;
    }
  }

  async #append(memory: Uint8Array, start: number, end: number): Promise<void> {
    await this.#writer.write(this.#used + this.#stored, memory, start, end);
    this.#stored += end - start;
  }

  /** Whether the end of a file lies in the block in which its inode and indexes end. */
  #fitsBeside(inode: Inode, tailSize: number): boolean {
    const blockSize = this.#blockSize;
    const core = coreSize(inode) + inode.xattrSize;
    const head = core + indexesSize(this.#finish(inode, undefined), core);
    // What is larger than a block begins at one.
    return (head % blockSize) + tailSize <= blockSize;
  }

  #finish(inode: Inode, fragmentOffset: number | undefined): Compressed {
    const { algorithm, piece } = this.#variant;
    const { blockSize, pclusterSize } = piece;
    return {
      algorithm,
      blockBits: Math.log2(blockSize),
      big: pclusterSize > blockSize,
      extents: Uint32Array.from(this.#extents),
      lclusters: Math.ceil(inode.size / blockSize),
      ...this.#placesOf(),
      inlineSize: this.#inlineSize,
      inlineAt: this.#endsUsed,
      fragmentOffset,
      wholeFragment: fragmentOffset !== undefined && this.#extents.length === 3,
    };
  }

  /** Of pclusters that lie one after another the first says it all. */
  #placesOf(): Pick<Compressed, 'places' | 'firstBlock' | 'blocks'> {
    const blockSize = this.#blockSize;
    const firstBlock = this.#places[0] ?? this.#used / blockSize;
    let next = firstBlock;
    let together = true;
    for (const [index, place] of this.#places.entries()) {
      together &&= place === next;
      next += Math.ceil(this.#extents[index * 3 + 1]! / blockSize);
    }
    const blocks = this.#outputs.shared ? next - firstBlock : this.#stored / blockSize;
    return { places: together ? undefined : Uint32Array.from(this.#places), firstBlock, blocks };
  }

  #worthwhile({ size }: Inode, compressed: Compressed): boolean {
    const blockSize = this.#blockSize;
    if (compressed.wholeFragment) return true;
    if ((compressed.fragmentOffset ?? 0) >= FRAGMENT_MAX) return false;
    const tail = size % blockSize;
    const beside = tail + COMPACT_SIZE <= blockSize;
    const flat = beside ? size : size - tail + blockSize;
    return this.#stored + compressed.inlineSize + indexesSize(compressed, COMPACT_SIZE) < flat;
  }
}
