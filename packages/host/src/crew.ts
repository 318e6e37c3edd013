import { parentPort, type Transferable, type Worker } from 'node:worker_threads';
import type { Awaitable } from '@anole/bytes';
import { type Answer, attempt, errorOf } from './answer.ts';
import { startThread } from './threads.ts';

/** Jobs that a thread may have before it. */
const JOBS_AHEAD = 3;

/** Jobs leave little behind: memory for what is new would grow to a multiple of what they need. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

interface Member {
  readonly worker: Worker;
  jobs: number;
}

/**
 * Threads that do jobs of one kind, each in the order in which it gets them. What one of them meets is
 * raised by the next call.
 */
export class Crew<Job, Done> implements AsyncDisposable {
  readonly #members: Member[] = [];
  readonly #onDone: (done: Done) => void;
  #failure: Error | undefined;
  #waiting: (() => void) | undefined;

  /**
   * @param url a module that calls {@link serveCrew}
   * @param task plain data that each thread finds in `workerData`
   */
  constructor(url: URL, task: unknown, size: number, onDone: (done: Done) => void) {
    this.#onDone = onDone;
    for (let count = 0; count < size; count++) {
      const worker = startThread(url, { workerData: task, resourceLimits });
      const member = { worker, jobs: 0 };
      worker.on('message', (answer: Answer<Done>) => this.#take(member, answer));
      worker.on('error', (error) => this.#fail(error));
      this.#members.push(member);
    }
  }

  /**
   * Gives a job to who has least to do. Returns what to wait for before the next one, where enough is
   * under way.
   */
  put(job: Job, transfer: readonly Transferable[] = []): Promise<void> | undefined {
    if (this.#failure) throw this.#failure;
    const idle = this.#members.reduce((least, next) => (next.jobs < least.jobs ? next : least));
    idle.jobs++;
    idle.worker.postMessage(job, transfer);
    return this.#isFull() ? this.#until(() => !this.#isFull()) : undefined;
  }

  /** Resolves when all is done; rejects where anything failed. */
  async finish(): Promise<void> {
    await this.#until(() => this.#members.every(({ jobs }) => jobs === 0));
  }

  /** Resolves when nothing more is done, whatever was still to come. */
  async stop(): Promise<void> {
    await Promise.all(this.#members.splice(0).map(({ worker }) => worker.terminate()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #isFull(): boolean {
    return this.#members.every(({ jobs }) => jobs >= JOBS_AHEAD);
  }

  #take(member: Member, answer: Answer<Done>): void {
    member.jobs--;
    if ('done' in answer) {
      this.#onDone(answer.done);
      this.#waiting?.();
      return;
    }
    this.#fail(errorOf(answer));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.();
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    if (this.#failure) throw this.#failure;
  }
}

/** In a thread of a {@link Crew}: does its jobs, one after the other. */
export function serveCrew<Job, Done>(run: (job: Job) => Awaitable<Done>): void {
  let turn: Promise<void> = Promise.resolve();
  parentPort?.on('message', (job: Job) => {
    turn = turn.then(async () => parentPort?.postMessage(await attempt(() => run(job))));
  });
}
