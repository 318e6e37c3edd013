import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { AnoleError } from '@anole/bytes';
import { startThread } from '@anole/host';

export interface UnpackJob {
  readonly id: number;
  /** The package file. */
  readonly deb: string;
  /** Where its unpacked form is to be. */
  readonly path: string;
  /** Written first, then renamed to `path`. */
  readonly temporary: string;
}

export interface UnpackAnswer {
  readonly id: number;
  readonly error?: {
    readonly message: string;
    readonly code?: string;
    readonly hint?: string;
    readonly details?: Readonly<Record<string, unknown>>;
  };
}

interface Pending {
  readonly job: UnpackJob;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** More threads do not help: the disk is next in line. */
const MOST_THREADS = 8;

/**
 * Threads that unpack packages, started as they are needed. Closing it ends what is under way and
 * leaves nothing half-written.
 */
export class UnpackPool implements AsyncDisposable {
  private readonly limit: number;
  private readonly idle: Worker[] = [];
  private readonly all = new Set<Worker>();
  private readonly running = new Map<Worker, Pending>();
  private readonly queue: Pending[] = [];
  private nextId = 1;
  private closed = false;

  constructor(limit = Math.min(availableParallelism(), MOST_THREADS)) {
    this.limit = limit;
  }

  unpack(deb: string, path: string): Promise<void> {
    const id = this.nextId++;
    const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
    if (this.closed) return Promise.reject(stopped(deb));
    return new Promise((resolve, reject) => {
      this.queue.push({ job: { id, deb, path, temporary }, resolve, reject });
      this.pump();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const unfinished = [...this.running.values(), ...this.queue.splice(0)];
    this.closed = true;
    await Promise.all([...this.all].map((worker) => worker.terminate()));
    for (const { job, reject } of unfinished) {
      rmSync(job.temporary, { force: true });
      reject(stopped(job.deb));
    }
    this.running.clear();
  }

  private pump(): void {
    while (this.queue.length > 0 && !this.closed) {
      const worker = this.idle.pop() ?? (this.all.size < this.limit ? this.start() : undefined);
      if (worker === undefined) return;
      const pending = this.queue.shift()!;
      this.running.set(worker, pending);
      worker.postMessage(pending.job);
    }
  }

  private start(): Worker {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = startThread(new URL(`./unpack-worker.${extension}`, import.meta.url));
    this.all.add(worker);
    worker.on('message', (answer: UnpackAnswer) => this.settle(worker, answer));
    worker.on('error', (error) => {
      this.all.delete(worker);
      this.settle(worker, { id: 0, error: { message: String(error) } });
    });
    return worker;
  }

  private settle(worker: Worker, answer: UnpackAnswer): void {
    const pending = this.running.get(worker);
    this.running.delete(worker);
    if (this.all.has(worker)) this.idle.push(worker);
    if (pending !== undefined) finish(pending, answer);
    this.pump();
  }
}

function finish({ job, resolve, reject }: Pending, { error }: UnpackAnswer): void {
  if (error === undefined) resolve();
  else reject(revive(job, error));
}

function stopped(deb: string): AnoleError {
  return new AnoleError('DEB_STOPPED', `Cannot unpack ${deb}: it was stopped`);
}

/** Errors lose their class between threads; the code stays. */
function revive({ deb }: UnpackJob, error: NonNullable<UnpackAnswer['error']>): AnoleError {
  return new AnoleError(error.code ?? 'DEB_STOPPED', `${error.message} (${deb})`, {
    details: { ...error.details, deb },
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
