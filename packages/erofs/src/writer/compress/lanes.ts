import type { Awaitable } from '@anole/bytes';
import { LZ4_SCRATCH_SIZE, LZ4_SLACK } from '@anole/bytes/lz4-compress';
import { LZMA_SLACK, lzmaScratchSize } from '@anole/bytes/lzma-compress';
import type { TreeNode } from '@anole/vfs';
import { type Encoders, fillerOf } from './fillers.ts';
import {
  type CompressedPiece,
  compressPiece,
  type Piece,
  type PieceSettings,
  storedSizeMax,
} from './piece.ts';

export { packPieces, packResults, unpackPieces, unpackResults } from './piece-columns.ts';

/** Bytes of a file that are compressed in one go. A fixed number: results depend on it. */
export const PIECE_SIZE = 8 * 1024 * 1024;
const PAGE = 65536;
/** Bytes that are compressed anew at once, where that becomes necessary: for some pclusters. */
const AGAIN_LEAST = 256 * 1024;
const AGAIN_MOST = 2 * 1024 * 1024;
const AGAIN_PCLUSTERS = 4;
const SLACK = Math.max(LZ4_SLACK, LZMA_SLACK);

/** A place where pieces of files are put, compressed, and taken from. */
export interface Lane {
  /** The memory that places are counted in. */
  readonly bytes: Uint8Array;
  /** Where pieces go, one after another. */
  readonly input: LaneRange;
  /** Where they come out. */
  readonly output: LaneRange;
  /** Another place for them, for {@link againSize} bytes. */
  readonly spare: LaneRange;
  /**
   * Takes it over to put bytes of a file to `start` before the next run begins. False where it cannot:
   * then they are to be put there. Not every lane can at all.
   */
  readonly fetch?: (node: TreeNode, offset: number, start: number, length: number) => boolean;
  /**
   * Compresses pieces that lie in `input` to `target`: the start of `output`, or of `spare`. What comes
   * out is valid until the next run to there, or until the lane is released.
   */
  run(pieces: readonly Piece[], target: number): Awaitable<readonly CompressedPiece[]>;
  release(): void;
}

export interface LaneRange {
  readonly start: number;
  readonly end: number;
}

/** Lanes of one image. */
export interface Lanes {
  /** One that is free, or undefined where all are in use. There is one at least. */
  acquire(): Lane | undefined;
}

/** Bytes of a file that are compressed anew at once. */
export function againSize({ pclusterSize }: PieceSettings): number {
  return Math.min(Math.max(AGAIN_LEAST, pclusterSize * AGAIN_PCLUSTERS), AGAIN_MOST);
}

/** Input, output and spare of each lane of a memory that has several, and the memory's size. */
export function laneRanges(variants: readonly PieceSettings[], count: number) {
  const inputSize = PIECE_SIZE + SLACK;
  const outputSize = Math.max(...variants.map((one) => storedSizeMax(PIECE_SIZE, one))) + SLACK;
  const spareSize = Math.max(...variants.map((one) => storedSizeMax(againSize(one), one))) + SLACK;
  let at = Math.max(...variants.map(scratchSize));
  const ranges: Pick<Lane, 'input' | 'output' | 'spare'>[] = [];
  for (let lane = 0; lane < count; lane++) {
    const input = { start: at, end: at + PIECE_SIZE };
    const output = { start: at + inputSize, end: at + inputSize + outputSize };
    const spare = { start: output.end, end: output.end + spareSize };
    ranges.push({ input, output, spare });
    at = spare.end;
  }
  return { ranges, pages: Math.ceil(at / PAGE) };
}

/** Bytes at the start of a memory that a compressor needs; those of one memory take turns in them. */
function scratchSize(settings: PieceSettings): number {
  return settings.compressor === 'lzma' ? lzmaScratchSize(settings) : LZ4_SCRATCH_SIZE;
}

/**
 * Compresses pieces that lie in a memory one by one, in the calling thread, to `target`. Threads of a
 * pool each have one: wherever a piece is compressed, the result is the same.
 *
 * @throws ErofsError `EROFS_BAD_OPTION` where an encoder is missing
 */
export function pieceCompressor(
  variants: readonly PieceSettings[],
  encoders: Encoders,
  memory: WebAssembly.Memory,
): (pieces: readonly Piece[], target: number) => readonly CompressedPiece[] {
  const fillers = variants.map((settings) => fillerOf(settings, encoders, memory));
  const bytes = new Uint8Array(memory.buffer);
  return (pieces, target) => {
    let to = target;
    return pieces.map((piece) => {
      const { variant } = piece;
      const done = compressPiece(bytes, piece, to, variants[variant]!, fillers[variant]!);
      to = done.end;
      return done;
    });
  };
}

/** One lane, in this thread. @throws ErofsError `EROFS_BAD_OPTION` */
export function laneInThisThread(
  variants: readonly PieceSettings[],
  encoders: Encoders = {},
): Lanes {
  const { ranges, pages } = laneRanges(variants, 1);
  const memory = new WebAssembly.Memory({ initial: pages });
  const compress = pieceCompressor(variants, encoders, memory);
  let free = true;
  const lane: Lane = {
    bytes: new Uint8Array(memory.buffer),
    ...ranges[0]!,
    run: (pieces, target) => compress(pieces, target),
    release: () => {
      free = true;
    },
  };
  return {
    acquire() {
      if (!free) return undefined;
      free = false;
      return lane;
    },
  };
}
