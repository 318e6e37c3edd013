import { availableParallelism } from 'node:os';
import { Crew } from '@anole/host';
import { CopyThreads } from './copy-threads.ts';
import { ListAhead } from './list-ahead.ts';
import type { SourceCrew } from './source-job.ts';

/** More would wait for the disk. */
const MOST_THREADS = 4;

/** Threads that list and copy what is in the directory of which an image is made. For one image. */
export class SourceThreads implements AsyncDisposable {
  #crew: SourceCrew | undefined;

  /** Directories listed before they are asked for. */
  readonly ahead: ListAhead;

  /** @param entries of the tree that are worth starting threads for only to list them */
  constructor(entries?: number) {
    this.ahead = new ListAhead(() => this.crew(), entries);
  }

  /** Copying into an image, which begins at byte `start` of a file. */
  copyTo(fd: number, start: number, blockSize: number): CopyThreads {
    return new CopyThreads(() => this.crew(), { fd, blockSize }, start);
  }

  /** Resolves when nothing more is read or written, whatever was still to come. */
  async stop(): Promise<void> {
    await this.#crew?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** They are started when there is something to do. */
  crew(): SourceCrew {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const url = new URL(`./source-worker.${extension}`, import.meta.url);
    // This thread lists and copies, too.
    const others = Math.max(availableParallelism() - 1, 1);
    this.#crew ??= new Crew(url, undefined, Math.min(MOST_THREADS, others));
    return this.#crew;
  }
}
