import { parentPort } from 'node:worker_threads';
import {
  type CompressedPiece,
  type Piece,
  type PieceSettings,
  pieceCompressor,
} from '@anole/erofs';
import { zlibEncoders } from '@anole/host';

/** Pieces to compress; all jobs of a thread have the same settings. */
export interface CompressJob {
  readonly pieces: readonly Piece[];
  readonly settings: PieceSettings;
}

export type CompressAnswer =
  | { readonly pieces: readonly CompressedPiece[] }
  | { readonly error: string };

let compress: ReturnType<typeof pieceCompressor> | undefined;

parentPort?.on('message', ({ pieces, settings }: CompressJob) => {
  let answer: CompressAnswer;
  try {
    compress ??= pieceCompressor(settings, zlibEncoders);
    answer = { pieces: pieces.map(compress) };
  } catch (error) {
    answer = { error: String(error) };
  }
  // Each piece has memory of its own: it moves.
  const moved = 'pieces' in answer ? answer.pieces.map(({ data }) => data.buffer) : [];
  parentPort?.postMessage(answer, moved as ArrayBuffer[]);
});
