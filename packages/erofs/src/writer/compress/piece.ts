import type { LzmaBits } from '@anole/bytes/lzma-compress';

/** Compressors by the names that mkfs.erofs gives them. */
export type Compressor = 'lz4' | 'lz4hc' | 'lzma' | 'deflate' | 'zstd';

/** What becomes of the end of a file that fills no whole pcluster. */
export type TailMode = 'plain' | 'inline' | 'fragment';

/** How pieces of files are compressed: all that a thread needs to know. Plain data. */
export interface PieceSettings {
  readonly compressor: Compressor;
  readonly level: number;
  readonly blockSize: number;
  /** Bytes of the largest pcluster. */
  readonly pclusterSize: number;
  /** Bytes that matches reach back, for those compressors that are told. */
  readonly windowSize: number;
  /** Of lzma, where they are not the usual ones. */
  readonly lzmaBits?: LzmaBits;
  /** Bytes of a file that one pcluster holds at most. */
  readonly extentMax: number;
}

/** Flags of extents. */
export const EXTENT_IS_PLAIN = 1;
/** What is stored decodes to more than the extent has. */
export const EXTENT_IS_PARTIAL = 2;

/** Up to some megabytes of a file, in a memory. Plain data. */
export interface Piece {
  /** First byte in the memory. */
  readonly start: number;
  readonly length: number;
  /** Undefined unless the file ends here: pieces before the last are whole blocks. */
  readonly tail: TailMode | undefined;
  /** Which of the settings it is compressed by. */
  readonly variant: number;
}

/** A piece as it will lie in the image: ranges of the memory it was compressed in. Plain data. */
export interface CompressedPiece {
  /** For each pcluster: bytes of the file, bytes stored, and flags: `EXTENT_IS_PLAIN`, `EXTENT_IS_PARTIAL`. */
  readonly extents: Uint32Array;
  /** Pclusters in whole blocks, and behind them the tail. */
  readonly start: number;
  readonly end: number;
  /** Stored bytes of a last pcluster of less than a block, which may lie beside the inode, or 0. */
  readonly tailSize: number;
  /** Bytes at the end of the piece that go into the packed inode, as they are. */
  readonly fragmentSize: number;
}

/** A filler encodes as much of a source as fits into a room. Both lie in the same memory. */
export interface Filler {
  /** Another piece comes: nothing is remembered of the one before. */
  begin(): void;
  /**
   * Encodes bytes from `start` on, before `end`, into `room` bytes from `target` on. `consumed` 0 means
   * that what follows does not shrink.
   */
  fill(start: number, end: number, target: number, room: number): Filled;
}

interface Filled {
  readonly consumed: number;
  readonly produced: number;
}

/**
 * Compresses one piece to `target`, where there is room for {@link storedSizeMax} bytes. The same
 * piece and settings give the same result.
 */
export function compressPiece(
  memory: Uint8Array,
  { start, length, tail }: Piece,
  target: number,
  { blockSize, pclusterSize, extentMax }: PieceSettings,
  filler: Filler,
): CompressedPiece {
  const end = start + length;
  const extents: number[] = [];
  let tailSize = 0;
  let at = start;
  let to = target;
  filler.begin();
  while (at < end) {
    const left = end - at;
    if (tail === 'fragment' && left <= Math.min(pclusterSize, extentMax)) break;
    const alone = left <= blockSize && tail !== 'inline';
    const filled = alone
      ? nothing
      : filler.fill(at, Math.min(end, at + extentMax), to, pclusterSize);
    const last = tail === 'inline' && filled.consumed === left;
    const { consumed, produced } = last
      ? inWholeBlocks(filled, memory, at, to, blockSize, filler)
      : filled;
    const all = consumed === left;
    if (tail === 'fragment' && all && produced < pclusterSize) break;
    const inlined = tail === 'inline' && all && produced < blockSize;
    const stored = inlined ? produced : Math.ceil(produced / blockSize) * blockSize;
    const plain = stored >= consumed;
    const taken = plain ? Math.min(left, blockSize) : consumed;
    const bytes = plain ? taken : produced;
    if (plain) memory.copyWithin(to, at, at + taken);
    extents.push(taken, bytes, plain ? EXTENT_IS_PLAIN : 0);
    at += taken;
    if (tail === 'inline' && at === end && bytes < blockSize) {
      tailSize = bytes;
      to += bytes;
    } else to = pad(memory, to, bytes, plain, blockSize);
  }
  return {
    extents: Uint32Array.from(extents),
    start: target,
    end: to,
    tailSize,
    fragmentSize: end - at,
  };
}

const nothing: Filled = { consumed: 0, produced: 0 };

/**
 * The last pcluster of a file, cut so that it fills its blocks, where what is left then takes no block of
 * its own: it lies beside the inode.
 */
function inWholeBlocks(
  filled: Filled,
  memory: Uint8Array,
  at: number,
  to: number,
  blockSize: number,
  filler: Filler,
): Filled {
  const { consumed, produced } = filled;
  const partial = produced % blockSize;
  const whole = produced - partial;
  if (whole === 0 || partial === 0) return filled;
  const aside = to + whole + blockSize;
  const shorter = filler.fill(at, at + consumed, aside, whole);
  const rest = consumed - shorter.consumed;
  if (shorter.consumed === 0 || shorter.produced + rest >= whole + blockSize) return filled;
  memory.copyWithin(to, aside, aside + shorter.produced);
  return shorter;
}

/** Bytes that a piece takes at most, with what a filler may write behind its room. */
export function storedSizeMax(length: number, { blockSize, pclusterSize }: PieceSettings): number {
  return (Math.ceil(length / blockSize) + 1) * blockSize + pclusterSize;
}

/** Makes whole blocks of a pcluster: what is compressed ends, what is not begins where they do. */
export function pad(
  memory: Uint8Array,
  at: number,
  size: number,
  plain: boolean,
  blockSize: number,
): number {
  const padding = Math.ceil(size / blockSize) * blockSize - size;
  if (padding > 0 && plain) memory.fill(0, at + size, at + size + padding);
  else if (padding > 0) {
    memory.copyWithin(at + padding, at, at + size);
    memory.fill(0, at, at + padding);
  }
  return at + size + padding;
}
