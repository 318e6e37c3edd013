import { COMPACT_SIZE } from '../../layout/inode.ts';
import type { Inode } from '../inode.ts';
import { type Compressed, padded } from './compressed.ts';
import { indexesSize } from './index-packs.ts';
import type { CompressionSettings } from './options.ts';
import type { Packed } from './packed.ts';
import type { CompressedPiece } from './piece.ts';
import type { Spool } from './spool.ts';

/** Offsets of parts of files in the packed inode have 32 bits. */
const FRAGMENT_MAX = 2 ** 32;

/** Puts the pieces of one file after another into the spool, and says of each how it is stored. */
export class FileBuilder {
  readonly #settings: CompressionSettings;
  readonly #spool: Spool;
  readonly #packed: Packed | undefined;
  /** End of what is in use of the spool. */
  #spooled = 0;
  // Of the file at hand:
  #extents: number[] = [];
  #length = 0;
  #stored = 0;
  #tailSize = 0;

  constructor(settings: CompressionSettings, spool: Spool, packed: Packed | undefined) {
    this.#settings = settings;
    this.#spool = spool;
    this.#packed = packed;
  }

  /** Takes the next piece of a file; with the last one, sets the inode's `compressed`. */
  async add(inode: Inode, piece: CompressedPiece): Promise<void> {
    await this.#store(inode, piece);
    const { fragment } = piece;
    if (this.#length + (fragment?.length ?? 0) < inode.size) return;
    const offset = fragment && (await this.#packed!.place(fragment));
    if (fragment) this.#extents.push(fragment.length, 0, 0);
    const compressed = this.#finish(inode, offset);
    if (this.#worthwhile(inode, compressed)) {
      inode.compressed = compressed;
      this.#spooled += this.#stored + this.#tailSize;
    }
    this.#extents = [];
    this.#length = 0;
    this.#stored = 0;
    this.#tailSize = 0;
  }

  async #store(inode: Inode, { extents, data }: CompressedPiece): Promise<void> {
    const { blockSize } = this.#settings.piece;
    const parts: Uint8Array[] = [];
    let at = 0;
    let size = 0;
    for (let extent = 0; extent < extents.length; extent += 3) {
      const stored = extents[extent + 1]!;
      const bytes = data.subarray(at, at + stored);
      at += stored;
      this.#extents.push(extents[extent]!, stored, extents[extent + 2]!);
      this.#length += extents[extent]!;
      const inline = this.#settings.tails === 'inline' && stored < blockSize;
      if (inline && this.#length === inode.size) this.#tailSize = stored;
      const part = this.#tailSize > 0 ? bytes : padded(bytes, extents[extent + 2] === 1, blockSize);
      parts.push(part);
      size += part.length;
    }
    await this.#spool.write(this.#spooled + this.#stored, joined(parts, size));
    this.#stored += size - this.#tailSize;
  }

  #finish(inode: Inode, fragmentOffset: number | undefined): Compressed {
    const { algorithm, piece } = this.#settings;
    const { blockSize, pclusterSize } = piece;
    return {
      algorithm,
      blockBits: Math.log2(blockSize),
      big: pclusterSize > blockSize,
      extents: Uint32Array.from(this.#extents),
      lclusters: Math.ceil(inode.size / blockSize),
      spooled: this.#spooled,
      blocks: this.#stored / blockSize,
      tailSize: this.#tailSize,
      inlineSize: this.#tailSize,
      fragmentOffset,
      wholeFragment: fragmentOffset !== undefined && this.#extents.length === 3,
    };
  }

  /** Whether it takes less room than the same file as it is. */
  #worthwhile({ size }: Inode, compressed: Compressed): boolean {
    const { blockSize } = this.#settings.piece;
    if (compressed.wholeFragment) return true;
    if ((compressed.fragmentOffset ?? 0) >= FRAGMENT_MAX) return false;
    const tail = size % blockSize;
    const beside = tail + COMPACT_SIZE <= blockSize;
    const flat = beside ? size : size - tail + blockSize;
    const { blocks, tailSize } = compressed;
    return blocks * blockSize + tailSize + indexesSize(compressed, COMPACT_SIZE) < flat;
  }
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
