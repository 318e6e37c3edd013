import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { AnoleError } from '@anole/bytes';
import type { ErofsNode } from '@anole/erofs';
import { type Elsewhere, startThread } from '@anole/host';
import type { WalkEntry } from '@anole/vfs';
import type { UnpackAnswer, UnpackJob, UnpackWork } from './unpack-worker.ts';

/** More would wait for the disk, and each opens the image anew. */
const MOST_THREADS = 4;
/** Files and bytes that go to a thread at once, and jobs that it may have before it. */
const JOB_FILES = 64;
const JOB_BYTES = 4 * 1024 * 1024;
const JOBS_AHEAD = 3;

/** Threads that write files of an image of this computer while it is unpacked. */
export class UnpackThreads implements Elsewhere, AsyncDisposable {
  bytes = 0;
  private readonly image: string;
  private readonly workers: { readonly worker: Worker; jobs: number }[] = [];
  private job: (readonly [string, number])[] = [];
  private jobBytes = 0;
  private failure: Error | undefined;
  private waiting: (() => void) | undefined;

  constructor(image: string) {
    this.image = image;
  }

  begin(base: string, owners: boolean): void {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const url = new URL(`./unpack-worker.${extension}`, import.meta.url);
    const workerData: UnpackWork = { image: this.image, base, owners };
    for (let count = Math.min(MOST_THREADS, availableParallelism()); count > 0; count--) {
      const entry = { worker: startThread(url, { workerData }), jobs: 0 };
      entry.worker.on('message', (answer: UnpackAnswer) => this.take(entry, answer));
      entry.worker.on('error', (error) => this.fail(error));
      this.workers.push(entry);
    }
  }

  put({ path, node }: WalkEntry): Promise<void> | undefined {
    if (this.failure) throw this.failure;
    this.job.push([path, (node as ErofsNode).nid]);
    this.jobBytes += node.stat.size;
    if (this.job.length < JOB_FILES && this.jobBytes < JOB_BYTES) return undefined;
    this.send();
    return this.isFull() ? this.until(() => !this.isFull()) : undefined;
  }

  async finish(): Promise<void> {
    if (this.job.length > 0) this.send();
    await this.until(() => this.workers.every(({ jobs }) => jobs === 0));
  }

  async stop(): Promise<void> {
    await Promise.all(this.workers.splice(0).map(({ worker }) => worker.terminate()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private isFull(): boolean {
    return this.workers.every(({ jobs }) => jobs >= JOBS_AHEAD);
  }

  /** Gives the job to who has least to do. */
  private send(): void {
    const idle = this.workers.reduce((least, next) => (next.jobs < least.jobs ? next : least));
    idle.jobs++;
    idle.worker.postMessage(this.job satisfies UnpackJob);
    this.job = [];
    this.jobBytes = 0;
  }

  private take(entry: { jobs: number }, answer: UnpackAnswer): void {
    entry.jobs--;
    if ('bytes' in answer) {
      this.bytes += answer.bytes;
      this.waiting?.();
      return;
    }
    const { code, message, details, hint } = answer;
    const isOurs = code?.includes('_') ?? false;
    if (isOurs) this.fail(new AnoleError(code!, message, { details, ...(hint && { hint }) }));
    // As Node raises it: what unpacks makes an error with a code of it.
    else this.fail(Object.assign(new Error(message), { code }));
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.waiting?.();
  }

  private async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.failure) throw this.failure;
      await new Promise<void>((resolve) => {
        this.waiting = resolve;
      });
    }
    if (this.failure) throw this.failure;
  }
}
