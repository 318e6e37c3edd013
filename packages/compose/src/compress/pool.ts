import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { AnoleError } from '@anole/bytes';
import {
  type CompressedPiece,
  type Lane,
  type Lanes,
  laneRanges,
  type Piece,
  type PieceSettings,
  packPieces,
  unpackResults,
} from '@anole/erofs';
import { type Answer, errorOf, FileListing, startThread } from '@anole/host';
import type { CompressJob, CompressTask } from './compress-worker.ts';

/** With the largest pieces under way each takes up to 40 MiB. */
const MOST_THREADS = 8;
/** One is filled or emptied while another is worked on. */
const LANES = 2;

/** Threads that compress pieces of files, started as they are needed. For one image. */
export class CompressPool implements AsyncDisposable {
  readonly size: number;
  readonly #threads: CompressThread[] = [];
  #closed = false;

  constructor(size = Math.min(availableParallelism(), MOST_THREADS)) {
    this.size = size;
  }

  /** Lanes for pieces that are compressed by one of `variants`: an option of `writeErofs`. */
  readonly lanes = (variants: readonly PieceSettings[]): Lanes => ({
    acquire: () => this.#acquire(variants),
  });

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  #acquire(variants: readonly PieceSettings[]): Lane | undefined {
    if (this.#closed) throw stopped();
    const idle = this.#threads.find(({ free }) => free === LANES);
    if (idle) return idle.acquire();
    if (this.#threads.length < this.size) {
      const thread = new CompressThread(variants);
      this.#threads.push(thread);
      return thread.acquire();
    }
    return this.#threads.find(({ free }) => free > 0)?.acquire();
  }
}

interface Pending {
  readonly resolve: (pieces: readonly CompressedPiece[]) => void;
  readonly reject: (error: Error) => void;
}

/** A thread, and the memory that it shares with this one. */
class CompressThread {
  readonly #worker: Worker;
  readonly #bytes: Uint8Array;
  readonly #lanes: Lane[];
  /** Jobs in the order in which they are answered. */
  readonly #pending: Pending[] = [];
  #failure: Error | undefined;

  constructor(variants: readonly PieceSettings[]) {
    const { ranges, pages } = laneRanges(variants, LANES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#bytes = new Uint8Array(memory.buffer);
    this.#lanes = ranges.map((range) => this.#lane(range));
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const task: CompressTask = { variants, memory };
    this.#worker = startThread(new URL(`./compress-worker.${extension}`, import.meta.url), {
      workerData: task,
    });
    this.#worker.on('message', (answer: Answer<Uint32Array>) => {
      const pending = this.#pending.shift();
      if ('done' in answer) pending?.resolve(unpackResults(answer.done));
      else pending?.reject(codedError(errorOf(answer)));
    });
    this.#worker.on('error', (error) => this.#fail(failed(String(error))));
  }

  /** Lanes that are not in use. */
  get free(): number {
    return this.#lanes.length;
  }

  acquire(): Lane | undefined {
    return this.#lanes.shift();
  }

  async close(): Promise<void> {
    this.#fail(stopped());
    await this.#worker.terminate();
  }

  #lane(range: Pick<Lane, 'input' | 'output' | 'spare'>): Lane {
    const listing = new FileListing();
    let reads: number[] = [];
    const lane: Lane = {
      bytes: this.#bytes,
      ...range,
      fetch(node, offset, start, length) {
        const isTheirs = listing.add(node);
        if (isTheirs) reads.push(offset, start, length);
        return isTheirs;
      },
      run: (pieces, target) => {
        const files = listing.count > 0 ? listing.take() : undefined;
        const results = this.#run(pieces, target, files, Float64Array.from(reads));
        reads = [];
        return results;
      },
      release: () => void this.#lanes.push(lane),
    };
    return lane;
  }

  #run(
    pieces: readonly Piece[],
    target: number,
    files: CompressJob['files'],
    reads: CompressJob['reads'],
  ): Promise<readonly CompressedPiece[]> {
    if (this.#failure) return Promise.reject(this.#failure);
    const job: CompressJob = { pieces: packPieces(pieces), target, files, reads };
    return new Promise((resolve, reject) => {
      this.#pending.push({ resolve, reject });
      this.#worker.postMessage(job, [job.pieces.buffer, reads.buffer]);
    });
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#pending.splice(0)) reject(error);
  }
}

/** A fault of a compressor has no code of its own. */
function codedError(error: Error): Error {
  return AnoleError.is(error) ? error : failed(error.message);
}

function failed(reason: string): AnoleError {
  return new AnoleError('EROFS_CANNOT_COMPRESS', `Cannot compress a file: ${reason}`);
}

function stopped(): AnoleError {
  return new AnoleError('EROFS_CANNOT_COMPRESS', 'Cannot compress a file: it was stopped');
}
