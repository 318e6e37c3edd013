import { enableCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { PieceSettings } from '@anole/erofs';
import type { FileList } from '@anole/host';

/** What a thread is made for: all of its jobs are in one memory and have the same settings. */
export interface CompressTask {
  readonly variants: readonly PieceSettings[];
  /** Shared: pieces are put there, and results are taken from there. */
  readonly memory: WebAssembly.Memory;
}

/** Pieces to compress to a place in the memory. Answered in order, by results that are packed. */
export interface CompressJob {
  /** Packed. */
  readonly pieces: Uint32Array<ArrayBuffer>;
  readonly target: number;
  /** Files to read before. */
  readonly files: FileList | undefined;
  /** For each of these files the byte to begin at, where that goes in the memory, and how many bytes. */
  readonly reads: Float64Array<ArrayBuffer>;
}

/** Columns of `reads`. */
export const READ_COLUMNS = 3;

// Threads start anew for each image: only what they need is loaded, compiled before if it can be.
enableCompileCache();
const { variants, memory } = workerData as CompressTask;
const { packResults, pieceCompressor, unpackPieces } = await import('@anole/erofs/pieces');
const ours = variants.every(({ compressor }) => !['zstd', 'deflate'].includes(compressor));
const encoders = ours ? {} : (await import('@anole/host/encoders')).zlibEncoders;
const compress = pieceCompressor(variants, encoders, memory);
const bytes = new Uint8Array(memory.buffer);
const { attempt } = await import('@anole/host/in-thread');
const { SourceFiles } = await import('./source-files.ts');
const source = new SourceFiles();

function read({ files, reads }: CompressJob): void {
  if (files === undefined) return;
  source.take(files);
  try {
    for (let index = 0, at = 0; at < reads.length; index++, at += READ_COLUMNS) {
      const start = reads[at + 1]!;
      source.read(index, reads[at]!, bytes.subarray(start, start + reads[at + 2]!));
    }
  } finally {
    source.release();
  }
}

parentPort?.on('message', async (job: CompressJob) => {
  const answer = await attempt(() => {
    read(job);
    return packResults(compress(unpackPieces(job.pieces), job.target));
  });
  parentPort?.postMessage(answer, 'done' in answer ? [answer.done.buffer] : []);
});
