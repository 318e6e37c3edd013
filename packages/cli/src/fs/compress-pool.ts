import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { AnoleError } from '@anole/bytes';
import type { CompressedPiece, Piece, PieceSettings } from '@anole/erofs';
import { threadArguments } from '@anole/host';
import type { CompressAnswer, CompressJob } from './compress-worker.ts';

/** Each takes up to 50 MiB while it works on the largest pieces. */
const MOST_THREADS = 8;

interface Pending {
  readonly job: CompressJob;
  readonly resolve: (pieces: readonly CompressedPiece[]) => void;
  readonly reject: (error: Error) => void;
}

/** Threads that compress pieces of files, started as they are needed. For one image. */
export class CompressPool implements AsyncDisposable {
  readonly size: number;
  readonly #idle: Worker[] = [];
  readonly #running = new Map<Worker, Pending | undefined>();
  readonly #queue: Pending[] = [];
  #closed = false;

  constructor(size = Math.min(availableParallelism(), MOST_THREADS)) {
    this.size = size;
  }

  readonly compress = (
    pieces: readonly Piece[],
    settings: PieceSettings,
  ): Promise<readonly CompressedPiece[]> => {
    if (this.#closed) return Promise.reject(stopped());
    return new Promise((resolve, reject) => {
      this.#queue.push({ job: { pieces, settings }, resolve, reject });
      this.#pump();
    });
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const workers = [...this.#running];
    this.#running.clear();
    await Promise.all(workers.map(([worker]) => worker.terminate()));
    for (const [, pending] of workers) pending?.reject(stopped());
    for (const { reject } of this.#queue.splice(0)) reject(stopped());
  }

  #pump(): void {
    while (this.#queue.length > 0 && !this.#closed) {
      const free = this.#idle.pop();
      if (free === undefined && this.#running.size >= this.size) return;
      const worker = free ?? this.#start();
      const pending = this.#queue.shift()!;
      this.#running.set(worker, pending);
      worker.postMessage(
        pending.job,
        pending.job.pieces.map(({ bytes }) => bytes.buffer as ArrayBuffer),
      );
    }
  }

  #start(): Worker {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(
      new URL(`./compress-worker.${extension}`, import.meta.url),
      threadArguments(),
    );
    this.#running.set(worker, undefined);
    worker.on('message', (answer: CompressAnswer) => {
      const pending = this.#running.get(worker);
      if (this.#running.has(worker)) this.#running.set(worker, undefined);
      this.#idle.push(worker);
      if ('pieces' in answer) pending?.resolve(answer.pieces);
      else pending?.reject(failed(answer.error));
      this.#pump();
    });
    worker.on('error', (error) => {
      const pending = this.#running.get(worker);
      this.#running.delete(worker);
      pending?.reject(failed(String(error)));
      this.#pump();
    });
    return worker;
  }
}

function failed(reason: string): AnoleError {
  return new AnoleError('EROFS_CANNOT_COMPRESS', `Cannot compress a file: ${reason}`);
}

function stopped(): AnoleError {
  return new AnoleError('EROFS_CANNOT_COMPRESS', 'Cannot compress a file: it was stopped');
}
