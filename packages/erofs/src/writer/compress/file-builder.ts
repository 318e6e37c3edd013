import { COMPACT_SIZE } from '../../layout/inode.ts';
import type { Inode } from '../inode.ts';
import { coreSize } from '../measure.ts';
import type { Compressed } from './compressed.ts';
import { indexesSize } from './index-packs.ts';
import { KnownPclusters, type StoredPcluster } from './known-pclusters.ts';
import type { CompressionSettings, Variant } from './options.ts';
import type { Packed } from './packed.ts';
import { type CompressedPiece, EXTENT_IS_PARTIAL, EXTENT_IS_PLAIN, pad } from './piece.ts';
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

/** Where a piece lies that a builder takes. */
export interface PiecePlace {
  readonly memory: Uint8Array;
  /** First byte of what goes into the packed inode. */
  readonly fragmentAt: number;
  /** What was compressed, where that is known. */
  readonly content?: Uint8Array;
}

/** A part of a file as it is stored. */
export interface StoredPart {
  /** First byte of the file, and how many. */
  readonly at: number;
  readonly length: number;
  /** As in `Compressed`, with a place for each. */
  readonly extents: readonly number[];
  readonly places: readonly number[];
}

type Extent = readonly [length: number, size: number, flags: number];

const nothing = new Uint8Array(0);

/** Puts the pieces of one file after another where they go, and says of each file how it is stored. */
export class FileBuilder {
  readonly #settings: CompressionSettings;
  readonly #always: boolean;
  readonly #blockSize: number;
  readonly #outputs: BuilderOutputs;
  readonly #writer: SpoolWriter;
  /** Contents of what is stored, where it is to be shared. */
  readonly known: KnownPclusters | undefined;
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
  /** How many pclusters were known before. */
  #knownBefore = 0;

  /** @param always whether files are stored compressed even where that gains nothing */
  constructor(settings: CompressionSettings, outputs: BuilderOutputs, always = false) {
    this.#settings = settings;
    this.#always = always;
    this.#blockSize = settings.blockSize;
    this.#outputs = outputs;
    this.#writer = new SpoolWriter(outputs.blocks);
    this.#variant = settings.variants[0]!;
    const read = async (offset: number, length: number) => {
      await this.flush();
      return await outputs.blocks.read(offset, length);
    };
    if (settings.dedupe && outputs.shared)
      this.known = new KnownPclusters(read, settings.blockSize);
  }

  /** Blocks so far. */
  get blocks(): number {
    return this.#used / this.#blockSize;
  }

  /** Takes the next piece of a file, compressed by `variant`; with the last one, sets the inode's `compressed`. */
  async add(
    inode: Inode,
    piece: CompressedPiece,
    variant: number,
    place: PiecePlace,
  ): Promise<void> {
    this.#variant = this.#settings.variants[variant]!;
    await this.#store(inode, piece, place);
    const { fragmentSize } = piece;
    const { memory, fragmentAt } = place;
    await this.#end(inode, memory.subarray(fragmentAt, fragmentAt + fragmentSize));
  }

  /** As `add`, of bytes of the file that are stored already. */
  async refer(inode: Inode, pcluster: StoredPcluster, variant: number): Promise<void> {
    this.#variant = this.#settings.variants[variant]!;
    const { length, size, place, algorithm, partial } = pcluster;
    const plain = algorithm === undefined ? EXTENT_IS_PLAIN : 0;
    this.#extents.push(length, size, plain | (partial ? EXTENT_IS_PARTIAL : 0));
    this.#places.push(place);
    this.#length += length;
    await this.#end(inode, nothing);
  }

  /** Takes the pclusters of a part of a file whose parts come in any order, and none between them of other files. */
  async addPart(
    inode: Inode,
    at: number,
    piece: CompressedPiece,
    variant: number,
    place: PiecePlace,
  ): Promise<StoredPart> {
    this.#variant = this.#settings.variants[variant]!;
    await this.#store(inode, piece, place);
    const part = {
      at,
      length: this.#length,
      extents: this.#extents,
      places: this.#placesOfAll(),
    };
    this.#used += this.#stored;
    this.#begin();
    return part;
  }

  /** How a file is stored whose parts are there, in their order. */
  joined(inode: Inode, parts: readonly StoredPart[], variant: number): Compressed {
    this.#variant = this.#settings.variants[variant]!;
    this.#extents = parts.flatMap(({ extents }) => extents);
    this.#places = parts.flatMap(({ places }) => places);
    const compressed = this.#finish(inode, undefined);
    this.#begin();
    return compressed;
  }

  /** Where each pcluster of the part at hand begins. */
  #placesOfAll(): number[] {
    if (this.#outputs.shared) return this.#places;
    let next = this.#used / this.#blockSize;
    return Array.from({ length: this.#extents.length / 3 }, (_, index) => {
      const place = next;
      next += Math.ceil(this.#extents[index * 3 + 1]! / this.#blockSize);
      return place;
    });
  }

  /** With the last bytes of a file, says how it is stored. */
  async #end(inode: Inode, fragment: Uint8Array): Promise<void> {
    if (this.#length + fragment.length < inode.size) return;
    let offset: number | undefined;
    if (fragment.length > 0) {
      offset = await this.#outputs.packed!.place(fragment);
      this.#extents.push(fragment.length, 0, 0);
    }
    const compressed = this.#finish(inode, offset);
    if (this.#always || this.#worthwhile(inode, compressed)) {
      inode.compressed = compressed;
      const unit = this.#settings.dataUnit * this.#blockSize;
      this.#used = Math.ceil((this.#used + this.#stored) / unit) * unit;
      this.#endsUsed += this.#inlineSize;
    } else this.known?.forget(this.#knownBefore);
    this.#knownBefore = this.known?.count ?? 0;
    this.#begin();
  }

  #begin(): void {
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

  async #store(inode: Inode, piece: CompressedPiece, place: PiecePlace): Promise<void> {
    const { memory } = place;
    const { extents, start, tailSize } = piece;
    for (const value of extents) this.#extents.push(value);
    for (let extent = 0; extent < extents.length; extent += 3) this.#length += extents[extent]!;
    const end = piece.end - tailSize;
    if (this.#outputs.shared) await this.#share(this.#outputs.shared, piece, place);
    else if (end > start) await this.#append(memory, start, end);
    if (tailSize === 0) return;
    if (this.#fitsBeside(inode, tailSize)) {
      this.#inlineSize = tailSize;
      await this.#outputs.ends!.write(this.#endsUsed, memory.subarray(end, piece.end));
      return;
    }
    const block = new Uint8Array(this.#blockSize);
    const content = this.#inOneLcluster(place);
    block.set(content ?? memory.subarray(end, piece.end));
    if (content) this.#extents[this.#extents.length - 1] = EXTENT_IS_PLAIN;
    else pad(block, 0, tailSize, extents.at(-1) === EXTENT_IS_PLAIN, this.#blockSize);
    if (this.#outputs.shared) this.#places.push((this.#used + this.#stored) / this.#blockSize);
    await this.#append(block, 0, block.length);
  }

  /**
   * What the last extent holds, where it lies in one lcluster of several-block pclusters: it is stored as
   * it is, in the one block that it takes anyway. Older readers (erofs-utils 1.5) look for the number of its
   * blocks in the lcluster behind it, and there is none.
   */
  #inOneLcluster({ content }: PiecePlace): Uint8Array | undefined {
    const { blockSize, pclusterSize } = this.#variant.piece;
    const length = this.#extents.at(-3)!;
    const begins = (this.#length - length) % blockSize;
    if (pclusterSize === blockSize || begins + length > blockSize) return undefined;
    return content?.subarray(content.length - length);
  }

  /** Stores the pclusters of a piece that are not stored yet. */
  async #share(shared: SharedBlocks, piece: CompressedPiece, place: PiecePlace): Promise<void> {
    const { extents, start, tailSize } = piece;
    const { memory, content } = place;
    const flush = () => this.flush();
    const count = extents.length / 3 - (tailSize > 0 ? 1 : 0);
    let at = start;
    let contentAt = 0;
    for (let index = 0; index < count; index++) {
      const [length, size, flags] = extents.subarray(index * 3) as unknown as Extent;
      const to = at + Math.ceil(size / this.#blockSize) * this.#blockSize;
      const next = (this.#used + this.#stored) / this.#blockSize;
      const found = await shared.find(memory.subarray(at, to), next, flush);
      this.#places.push(found ?? next);
      if (found === undefined) await this.#append(memory, at, to);
      if (found === undefined && content !== undefined) {
        const algorithm = flags & EXTENT_IS_PLAIN ? undefined : this.#variant.algorithm;
        const partial = (flags & EXTENT_IS_PARTIAL) !== 0;
        this.known?.add(content, contentAt, { place: next, size, length, algorithm, partial });
      }
      contentAt += length;
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
      together &&= place === next && (this.#extents[index * 3 + 2]! & EXTENT_IS_PARTIAL) === 0;
      next += Math.ceil(this.#extents[index * 3 + 1]! / blockSize);
    }
    const blocks = this.#places.length > 0 ? next - firstBlock : this.#stored / blockSize;
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
