import { parentPort, type Transferable, type Worker } from 'node:worker_threads';
import { AnoleError, type Awaitable } from '@anole/bytes';
import { startThread } from './threads.ts';

/** Jobs that a thread may have before it. */
const JOBS_AHEAD = 3;

/** Jobs leave little behind: memory for what is new would grow to a multiple of what they need. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

/** What a thread answers: what came of a job, or an error as plain data. */
type Answer<Done> =
  | { readonly done: Done }
  | {
      readonly code: string | undefined;
      readonly message: string;
      readonly details: Readonly<Record<string, unknown>>;
      readonly hint: string | undefined;
    };

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
    const { code, message, details, hint } = answer;
    const isOurs = code?.includes('_') ?? false;
    if (isOurs) this.#fail(new AnoleError(code!, message, { details, ...(hint && { hint }) }));
    // As Node raises it: who called makes an error with a code of it.
    else this.#fail(Object.assign(new Error(message), { code }));
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

async function attempt<Done>(run: () => Awaitable<Done>): Promise<Answer<Done>> {
  try {
    return { done: await run() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (AnoleError.is(error)) {
      const { code, details, hint } = error;
      return { code, message, details, hint };
    }
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    return { code, message, details: {}, hint: undefined };
  }
}
