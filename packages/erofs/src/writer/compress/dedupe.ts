import type { Inode } from '../inode.ts';
import type { FileBuilder } from './file-builder.ts';
import type { KnownPclusters, Match } from './known-pclusters.ts';
import { againSize, type Lane } from './lanes.ts';
import type { CompressionSettings } from './options.ts';
import { type CompressedPiece, EXTENT_IS_PARTIAL, type Piece } from './piece.ts';

/** A pcluster that was made, and what is in it: places in a memory. */
interface Extent {
  readonly at: number;
  readonly length: number;
  readonly out: number;
  readonly size: number;
  readonly flags: number;
  /** Bytes stored of a last one that may lie beside the inode, or 0. */
  readonly tailSize: number;
}

/** Blocks of content that are worth a pcluster's end before its room is full, where it has several. */
const WORTH_BLOCKS = 4;

/**
 * Stores of pieces what is not stored yet. Pieces come compressed as if there was nothing else; where
 * one has what begins a pcluster that is there already, at whatever byte, the pcluster before ends
 * there, the file refers to that one, and what follows is compressed again from where it ends. So
 * images do not depend on the number of lanes, and most data need not wait for those before.
 */
export class Dedupe {
  readonly #builder: FileBuilder;
  readonly #known: KnownPclusters;
  readonly #settings: CompressionSettings;

  constructor(builder: FileBuilder, known: KnownPclusters, settings: CompressionSettings) {
    this.#builder = builder;
    this.#known = known;
    this.#settings = settings;
  }

  /** Takes the next piece of a file from a lane. */
  async add(inode: Inode, lane: Lane, piece: Piece, done: CompressedPiece): Promise<void> {
    const { bytes } = lane;
    const { variant } = piece;
    const end = piece.start + piece.length;
    let extents = this.#extentsOf(piece.start, done);
    let { fragmentSize } = done;
    let index = 0;
    for (let at = piece.start; at < end; ) {
      while (index < extents.length && extents[index]!.at < at) index++;
      const extent = extents[index];
      if (extent?.at !== at) {
        if (at + fragmentSize === end) {
          const rest = { ...noExtents, fragmentSize };
          return await this.#builder.add(inode, rest, variant, { memory: bytes, fragmentAt: at });
        }
        const again = await this.#compress(lane, piece, at, end);
        extents = this.#extentsOf(at, again);
        ({ fragmentSize } = again);
        index = 0;
        continue;
      }
      const match = await this.#find(bytes, extent, end, variant);
      const middle = match && (await this.#middle(bytes, extent, match, end));
      if (middle !== undefined) {
        await this.#storeUpTo(inode, lane, piece, extent, middle);
        at = middle;
        extents = [];
        fragmentSize = 0;
        continue;
      }
      if (match === undefined || this.#isNear(match, extent)) {
        await this.#store(inode, bytes, extent, variant);
        at += extent.length;
        continue;
      }
      if (match.at > at) {
        await this.#storeUpTo(inode, lane, piece, extent, match.at);
        extents = [];
        fragmentSize = 0;
      }
      await this.#builder.refer(inode, match.pcluster, variant);
      at = match.at + match.length;
    }
  }

  #extentsOf(start: number, { extents, start: target, tailSize }: CompressedPiece): Extent[] {
    let at = start;
    let out = target;
    return Array.from({ length: extents.length / 3 }, (_, index) => {
      const [length, size, flags] = extents.subarray(index * 3);
      const isLast = (index + 1) * 3 === extents.length;
      const tail = isLast ? tailSize : 0;
      const extent = { at, length: length!, out, size: size!, flags: flags!, tailSize: tail };
      at += length!;
      out += this.#blocks(size!) * this.#settings.blockSize;
      return extent;
    });
  }

  /** Compresses a part of a piece anew, from `at` on: all up to `end`, or what can be done at once. */
  async #compress(lane: Lane, piece: Piece, at: number, end: number): Promise<CompressedPiece> {
    const most = againSize(this.#settings.variants[piece.variant]!.piece);
    const length = Math.min(end - at, most);
    const isLast = at + length === piece.start + piece.length;
    await this.#builder.flush();
    const tail = isLast ? piece.tail : undefined;
    const [done] = await lane.run([{ ...piece, start: at, length, tail }], lane.spare.start);
    // What was cut off is left for the next time, unless there is nothing else.
    const cut = at + length < end && done!.extents.length > 3;
    return cut ? { ...done!, extents: done!.extents.subarray(0, -3) } : done!;
  }

  /** Where what an extent has, or what follows, is stored already. */
  #find(
    bytes: Uint8Array,
    extent: Extent,
    end: number,
    variant: number,
  ): Promise<Match | undefined> {
    const { at, length } = extent;
    const isWorth = (match: Match) => this.#isWorth(match, extent, variant);
    return this.#known.find(bytes, { from: at, to: at + length, end }, isWorth);
  }

  #isWorth({ at, length, pcluster }: Match, extent: Extent, variant: number): boolean {
    const { algorithm, piece } = this.#settings.variants[variant]!;
    if (pcluster.algorithm !== undefined && pcluster.algorithm !== algorithm) return false;
    if (pcluster.size > piece.pclusterSize || length < this.#leastLength(pcluster.size))
      return false;
    if (at === extent.at) return true;
    if (extent.tailSize > 0) return false;
    if (at - extent.at < this.#leastLength(extent.size)) return !pcluster.partial;
    // What ends before its room is full wastes half a block.
    const { blockSize } = this.#settings;
    const worth = this.#blocks(extent.size) > 1 ? WORTH_BLOCKS * blockSize : extent.length / 2;
    return length >= worth;
  }

  /** Whether an extent would have too little if it ended where a match begins. */
  #isNear(match: Match, extent: Extent): boolean {
    return match.at > extent.at && match.at - extent.at < this.#leastLength(extent.size);
  }

  /**
   * Where an extent is to end so that another, up to the end of a near match, has enough, and what
   * follows is the same as what follows there: ends of pclusters of moved data keep their distance, so
   * that without it none would ever begin where one did before. Undefined where there is no such way.
   */
  async #middle(
    bytes: Uint8Array,
    extent: Extent,
    match: Match,
    end: number,
  ): Promise<number | undefined> {
    const next = match.at + match.length;
    const half = Math.ceil((next - extent.at) / 2);
    const isCut = extent.flags !== 0 || half >= extent.length;
    if (!this.#isNear(match, extent) || isCut || half < this.#leastLength(extent.size))
      return undefined;
    const range = { from: next, to: next + 1, end };
    const following = await this.#known.find(bytes, range, ({ pcluster }) => !pcluster.partial);
    return following && extent.at + half;
  }

  /** Bytes that a pcluster of `size` bytes must have, wherever it begins: indexes need room for what they say. */
  #leastLength(size: number): number {
    return this.#settings.blockSize * (this.#blocks(size) > 1 ? 2 : 1);
  }

  #blocks(size: number): number {
    return Math.ceil(size / this.#settings.blockSize);
  }

  #store(inode: Inode, memory: Uint8Array, extent: Extent, variant: number): Promise<void> {
    const { at, length, out, size, flags, tailSize } = extent;
    const stored = tailSize > 0 ? size : this.#blocks(size) * this.#settings.blockSize;
    const piece: CompressedPiece = {
      extents: Uint32Array.of(length, size, flags),
      start: out,
      end: out + stored,
      tailSize,
      fragmentSize: 0,
    };
    const place = { memory, fragmentAt: at + length, content: memory.subarray(at, at + length) };
    return this.#builder.add(inode, piece, variant, place);
  }

  /** Stores of an extent what is before byte `end`: in fewer blocks where that can be, else as it is. */
  async #storeUpTo(
    inode: Inode,
    lane: Lane,
    piece: Piece,
    extent: Extent,
    end: number,
  ): Promise<void> {
    const { bytes } = lane;
    const { at, out, size } = extent;
    const { variant } = piece;
    const { blockSize } = this.#settings;
    const blocks = this.#blocks(size);
    const kept = blocks > 1 ? bytes.slice(out, out + blocks * blockSize) : undefined;
    if (blocks > 1) {
      const shorter = this.#extentsOf(at, await this.#compress(lane, piece, at, end));
      const last = shorter.at(-1)!;
      const isAll = last.at + last.length === end;
      if (isAll && shorter.every((one) => one.length >= this.#leastLength(one.size))) {
        for (const one of shorter) await this.#store(inode, bytes, one, variant);
        return;
      }
    }
    const length = end - at;
    const flags = extent.flags | EXTENT_IS_PARTIAL;
    const result = { extents: Uint32Array.of(length, size, flags), tailSize: 0, fragmentSize: 0 };
    // Compressing anew may have taken its place.
    const memory = kept ?? bytes;
    const start = kept ? 0 : out;
    const stored = { ...result, start, end: start + blocks * blockSize };
    await this.#builder.add(inode, stored, variant, {
      memory,
      fragmentAt: end,
      content: bytes.subarray(at, end),
    });
  }
}

const noExtents: CompressedPiece = {
  extents: new Uint32Array(0),
  start: 0,
  end: 0,
  tailSize: 0,
  fragmentSize: 0,
};
