import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { abortable } from '@anole/bytes';

/** Milliseconds without a request after which nobody is taken to wait, or to come back soon. */
const QUIET = 4;
const LONG = 40;
/** Milliseconds that work waits at most for such a moment. */
const PATIENCE = 80;

/** Does work that nobody waits for while no requests come, and slowly where they always come. One at a time. */
export class SpareTime {
  #last = 0;
  #working: Promise<void> = Promise.resolve();

  /** Somebody waits for an answer. */
  note(): void {
    this.#last = performance.now();
  }

  /**
   * Does some work when what was given before is done, unless a signal comes first.
   *
   * @throws the signal's reason; what the work raises
   */
  async do(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const before = this.#working;
    const done = Promise.withResolvers<void>();
    this.#working = before.then(() => done.promise);
    try {
      signal.throwIfAborted();
      await abortable(before, signal);
      await work();
    } finally {
      done.resolve();
    }
  }

  /** Waits for the next moment for a few milliseconds of work. @throws the signal's reason */
  async moment(signal: AbortSignal): Promise<void> {
    const begun = performance.now();
    signal.throwIfAborted();
    await turn();
    while (this.#since < LONG && performance.now() - begun < PATIENCE) {
      await sleep(QUIET, undefined, { signal });
      if (this.#since >= QUIET) return;
    }
    signal.throwIfAborted();
  }

  get #since(): number {
    return performance.now() - this.#last;
  }
}
