import type { Lz4Filler } from '@anole/bytes';

/** Compressors by the names that mkfs.erofs gives them. */
export type Compressor = 'lz4' | 'lz4hc' | 'deflate' | 'zstd';

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
}

/** Up to some megabytes of a file. Begins at a whole block. */
export interface Piece {
  readonly bytes: Uint8Array;
  /** Undefined unless the file ends here: pieces before the last are whole blocks. */
  readonly tail: TailMode | undefined;
}

/** A piece as it will lie in the image, but for padding. */
export interface CompressedPiece {
  /** For each pcluster: bytes of the file, bytes stored, and 1 where those are not compressed. */
  readonly extents: Uint32Array;
  /** Stored bytes of all pclusters. */
  readonly data: Uint8Array;
  /** The end of the file that goes into the packed inode. */
  readonly fragment: Uint8Array | undefined;
}

/**
 * Encodes as much of a source as fits into a room: {@link Lz4Filler} in general. `fill` consuming
 * nothing means that what follows does not shrink.
 */
export type Filler = Pick<Lz4Filler, 'begin' | 'fill'>;

/** Compresses one piece. The same piece and settings give the same result. */
export function compressPiece(
  { bytes, tail }: Piece,
  { blockSize, pclusterSize }: PieceSettings,
  filler: Filler,
): CompressedPiece {
  const out = new PieceOutput(bytes.length);
  const room = new Uint8Array(pclusterSize);
  filler.begin(bytes);
  let at = 0;
  while (at < bytes.length) {
    const left = bytes.length - at;
    if (tail === 'fragment' && left <= pclusterSize) break;
    if (left <= blockSize && tail !== 'inline') {
      out.plain(bytes.subarray(at));
      at = bytes.length;
      continue;
    }
    const { consumed, produced } = filler.fill(at, room);
    const all = consumed === left;
    if (tail === 'fragment' && all && produced < pclusterSize) break;
    const inlined = tail === 'inline' && all && produced < blockSize;
    const stored = inlined ? produced : Math.ceil(produced / blockSize) * blockSize;
    if (stored < consumed) {
      out.compressed(consumed, room.subarray(0, produced));
      at += consumed;
    } else {
      const count = Math.min(left, blockSize);
      out.plain(bytes.subarray(at, at + count));
      at += count;
    }
  }
  return out.finish(at < bytes.length ? bytes.slice(at) : undefined);
}

class PieceOutput {
  readonly #extents: number[] = [];
  #data: Uint8Array;
  #used = 0;

  constructor(size: number) {
    this.#data = new Uint8Array(Math.ceil(size / 2) + 64);
  }

  plain(bytes: Uint8Array): void {
    this.#extents.push(bytes.length, bytes.length, 1);
    this.#append(bytes);
  }

  compressed(length: number, bytes: Uint8Array): void {
    this.#extents.push(length, bytes.length, 0);
    this.#append(bytes);
  }

  finish(fragment: Uint8Array | undefined): CompressedPiece {
    const data = this.#data.subarray(0, this.#used);
    return { extents: Uint32Array.from(this.#extents), data, fragment };
  }

  #append(bytes: Uint8Array): void {
    const end = this.#used + bytes.length;
    if (end > this.#data.length) {
      const larger = new Uint8Array(Math.max(end, this.#data.length * 2));
      larger.set(this.#data.subarray(0, this.#used));
      this.#data = larger;
    }
    this.#data.set(bytes, this.#used);
    this.#used = end;
  }
}
