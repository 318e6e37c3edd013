import { flow, type Source } from '@anole/bytes';
import { findNode } from '@anole/vfs';
import { compareBytes } from '../../compare-bytes.ts';
import { ErofsError } from '../../errors.ts';
import { PCLUSTER_MAX_DECODED } from '../../layout/compression.ts';
import { INCOMPAT_ZERO_PADDING } from '../../layout/superblock.ts';
import type { Mapping } from '../../reader/mapping.ts';
import { ErofsNode, type ErofsTree } from '../../reader/tree.ts';
import { readWindows } from '../../reader/windows.ts';
import type { Inode } from '../inode.ts';
import { readExactly } from '../read-exactly.ts';
import type { CompressionSettings, Variant } from './options.ts';
import { type CompressedPiece, EXTENT_IS_PARTIAL, EXTENT_IS_PLAIN } from './piece.ts';

/** An image whose compressed data may be taken over. */
export interface ReusedImage {
  readonly source: Source;
  /** Of that Source. */
  readonly tree: ErofsTree;
}

/** Pclusters of a file as they are stored, to be added as if they had just been compressed. */
export interface ReusedPiece {
  readonly bytes: Uint8Array;
  readonly piece: CompressedPiece;
}

/** Stored bytes handed on at once, but for one pcluster more. */
const PIECE = 1024 * 1024;

/** Finds files that have not changed since another image was made, and gives what that has of them. */
export class Reuse {
  readonly #image: ReusedImage;
  readonly #settings: CompressionSettings;
  readonly #windows: ReadonlyMap<string, number>;

  private constructor(
    image: ReusedImage,
    settings: CompressionSettings,
    windows: ReadonlyMap<string, number>,
  ) {
    this.#image = image;
    this.#settings = settings;
    this.#windows = windows;
  }

  /** Undefined where nothing of the image fits another: blocks of another size, or older data. */
  static async from(image: ReusedImage, settings: CompressionSettings): Promise<Reuse | undefined> {
    const { info } = image.tree;
    const fits =
      info.blockSize === settings.blockSize &&
      info.metaboxNid === undefined &&
      (info.featureIncompat & INCOMPAT_ZERO_PADDING) !== 0;
    return fits
      ? new Reuse(image, settings, await flow(() => readWindows(image.source, info)))
      : undefined;
  }

  /**
   * The pieces of a file that has the same path and content there; undefined where it has not, or is
   * stored in a way that these settings do not lead to, or is damaged.
   */
  async find(inode: Inode, variant: Variant): Promise<AsyncIterable<ReusedPiece> | undefined> {
    const { algorithm, piece } = variant;
    // Of LZ4 every image of ours says that matches may reach as far as they can.
    const reach = algorithm === 'lz4' ? 0 : (this.#windows.get(algorithm) ?? 0);
    if (reach > piece.windowSize) return undefined;
    try {
      const node = await findNode(this.#image.tree, inode.path, { followSymlinks: false });
      if (!(node instanceof ErofsNode) || node.stat.type !== 'file') return undefined;
      if (node.stat.size !== inode.size) return undefined;
      const mappings = await this.#mappings(node, variant);
      const same = mappings !== undefined && (await haveSameContent(node, inode));
      return same ? this.#pieces(node, mappings) : undefined;
    } catch (error) {
      if (error instanceof ErofsError) return undefined;
      throw error;
    }
  }

  /** Where all of a file lies; undefined where a part lies as these settings do not have it. */
  async #mappings(node: ErofsNode, variant: Variant): Promise<readonly Mapping[] | undefined> {
    const { size } = node.stat;
    const isCompressed = node.layout === 'compressedFull' || node.layout === 'compressedCompact';
    if (!isCompressed) return undefined;
    const mappings: Mapping[] = [];
    let lcluster = -1;
    for (let at = 0; at < size; ) {
      const mapping = await node.mapping(at);
      const head = Math.floor(at / this.#settings.blockSize);
      if (head === lcluster || !this.#fits(mapping, variant)) return undefined;
      mappings.push(mapping);
      lcluster = head;
      at = mapping.offset + mapping.length;
    }
    return mappings;
  }

  #fits(mapping: Mapping, variant: Variant): boolean {
    const { kind, device, start, size, offset, length, algorithm, partial, interlaced } = mapping;
    const { blockSize, tails, dedupe } = this.#settings;
    if (kind === 'fragment') return tails === 'fragment' && length <= PCLUSTER_MAX_DECODED;
    if (partial && !dedupe) return false;
    if (algorithm !== undefined && algorithm !== variant.algorithm) return false;
    if (interlaced && offset % blockSize !== 0) return false;
    if (kind === 'inode') return tails === 'inline' && size < blockSize;
    return (
      kind === 'device' &&
      device === 0 &&
      start % blockSize === 0 &&
      size % blockSize === 0 &&
      size <= (algorithm === undefined ? blockSize : variant.piece.pclusterSize)
    );
  }

  async *#pieces(node: ErofsNode, mappings: readonly Mapping[]): AsyncGenerator<ReusedPiece> {
    let waiting: Mapping[] = [];
    let stored = 0;
    for (const mapping of mappings) {
      waiting.push(mapping);
      stored += mapping.size;
      if (stored < PIECE) continue;
      yield await this.#piece(node, waiting);
      waiting = [];
      stored = 0;
    }
    if (waiting.length > 0) yield await this.#piece(node, waiting);
  }

  async #piece(node: ErofsNode, mappings: readonly Mapping[]): Promise<ReusedPiece> {
    const last = mappings.at(-1)!;
    const fragmentSize = last.kind === 'fragment' ? last.length : 0;
    const blocks = fragmentSize > 0 ? mappings.slice(0, -1) : mappings;
    const end = blocks.reduce((sum, { size }) => sum + size, 0);
    const bytes = new Uint8Array(end + fragmentSize);
    const extents: number[] = [];
    let at = 0;
    for (const { start, size, length, algorithm, partial } of blocks) {
      bytes.set(await this.#image.source.read(start, size), at);
      const plain = algorithm === undefined ? EXTENT_IS_PLAIN : 0;
      extents.push(length, size, plain | (partial ? EXTENT_IS_PARTIAL : 0));
      at += size;
    }
    if (fragmentSize > 0) bytes.set(await node.read(last.offset, fragmentSize), end);
    const tailSize = last.kind === 'inode' ? last.size : 0;
    const piece = { extents: Uint32Array.from(extents), start: 0, end, tailSize, fragmentSize };
    return { bytes, piece };
  }
}

async function haveSameContent(node: ErofsNode, inode: Inode): Promise<boolean> {
  for (let at = 0; at < inode.size; at += PIECE) {
    const length = Math.min(PIECE, inode.size - at);
    const there = await node.read(at, length);
    if (compareBytes(there, await readExactly(inode, at, length)) !== 0) return false;
  }
  return true;
}
