import { parentPort, workerData } from 'node:worker_threads';
import {
  type CompressedPiece,
  type Piece,
  type PieceSettings,
  pieceCompressor,
} from '@anole/erofs';
import { zlibEncoders } from '@anole/host';

/** What a thread is made for: all of its jobs are in one memory and have the same settings. */
export interface CompressTask {
  readonly settings: PieceSettings;
  /** Shared: pieces are put there, and results are taken from there. */
  readonly memory: WebAssembly.Memory;
}

/** Pieces to compress to a place in the memory. Answered in order. */
export interface CompressJob {
  readonly pieces: readonly Piece[];
  readonly target: number;
}

export type CompressAnswer =
  | { readonly pieces: readonly CompressedPiece[] }
  | { readonly error: string };

let compress: ReturnType<typeof pieceCompressor> | undefined;

parentPort?.on('message', ({ pieces, target }: CompressJob) => {
  let answer: CompressAnswer;
  try {
    const { settings, memory } = workerData as CompressTask;
    compress ??= pieceCompressor(settings, zlibEncoders, memory);
    answer = { pieces: compress(pieces, target) };
  } catch (error) {
    answer = { error: String(error) };
  }
  parentPort?.postMessage(answer);
});
