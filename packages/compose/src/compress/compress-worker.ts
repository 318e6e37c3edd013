import { enableCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { CompressedPiece, Piece, PieceSettings } from '@anole/erofs';

/** What a thread is made for: all of its jobs are in one memory and have the same settings. */
export interface CompressTask {
  readonly variants: readonly PieceSettings[];
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

// Threads start anew for each image: only what they need is loaded, compiled before if it can be.
enableCompileCache();
const { variants, memory } = workerData as CompressTask;
const { pieceCompressor } = await import('@anole/erofs/pieces');
const ours = variants.every(({ compressor }) => !['zstd', 'deflate'].includes(compressor));
const encoders = ours ? {} : (await import('@anole/host/encoders')).zlibEncoders;
const compress = pieceCompressor(variants, encoders, memory);

parentPort?.on('message', ({ pieces, target }: CompressJob) => {
  let answer: CompressAnswer;
  try {
    answer = { pieces: compress(pieces, target) };
  } catch (error) {
    answer = { error: String(error) };
  }
  parentPort?.postMessage(answer);
});
