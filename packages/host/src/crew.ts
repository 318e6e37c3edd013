import { parentPort, type Transferable, type Worker } from 'node:worker_threads';
import type { Awaitable } from '@anole/bytes';
import { type Answer, attempt, errorOf } from './answer.ts';
import { startThread } from './threads.ts';

/** Jobs that a thread may have before it. */
const JOBS_AHEAD = 3;

/** Jobs leave little behind: memory for what is new would grow to a multiple of what they need. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

interface Member<Done> {
  readonly worker: Worker;
  /** Who is to be told what comes of each job, in order. */
  readonly jobs: Asker<Done>[];
}

interface Asker<Done> {
  readonly onDone: (done: Done) => void;
  readonly onFail: (error: Error) => void;
}

const nobody: Asker<unknown> = { onDone() {}, onFail() {} };

/**
 * Threads that do jobs of one kind, each in the order in which it gets them. What one of them meets is
 * raised by the next call.
 */
export class Crew<Job, Done> implements AsyncDisposable {
  readonly #members: Member<Done>[] = [];
  #failure: Error | undefined;
  #waiting: (() => void) | undefined;

  /**
   * @param url a module that calls {@link serveCrew}
   * @param task plain data that each thread finds in `workerData`
   */
  constructor(url: URL, task: unknown, size: number) {
    for (let count = 0; count < size; count++) {
      const worker = startThread(url, { workerData: task, resourceLimits });
      const member: Member<Done> = { worker, jobs: [] };
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
    this.#give(job, transfer, nobody);
    return this.room();
  }

  /** The same whatever is under way; resolves to what comes of the job. */
  ask(job: Job, transfer: readonly Transferable[] = []): Promise<Done> {
    return new Promise((onDone, onFail) => this.#give(job, transfer, { onDone, onFail }));
  }

  /** What to wait for before the next job, where enough is under way. */
  room(): Promise<void> | undefined {
    return this.isFull ? this.#until(() => !this.isFull) : undefined;
  }

  /** Whether enough is under way. */
  get isFull(): boolean {
    return this.#members.every(({ jobs }) => jobs.length >= JOBS_AHEAD);
  }

  /** Resolves when all is done; rejects where anything failed. */
  async finish(): Promise<void> {
    await this.#until(() => this.#members.every(({ jobs }) => jobs.length === 0));
  }

  /** Resolves when nothing more is done, whatever was still to come. */
  async stop(): Promise<void> {
    await Promise.all(this.#members.splice(0).map(({ worker }) => worker.terminate()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #give(job: Job, transfer: readonly Transferable[], asker: Asker<Done>): void {
    if (this.#failure) throw this.#failure;
    const idle = this.#members.reduce((least, next) =>
      next.jobs.length < least.jobs.length ? next : least,
    );
    idle.jobs.push(asker);
    idle.worker.postMessage(job, transfer);
  }

  #take({ jobs }: Member<Done>, answer: Answer<Done>): void {
    if ('done' in answer) {
      jobs.shift()?.onDone(answer.done);
      this.#waiting?.();
    } else this.#fail(errorOf(answer));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { jobs } of this.#members) for (const { onFail } of jobs.splice(0)) onFail(error);
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
