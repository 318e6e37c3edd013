/** Longest stretch of work, in milliseconds, between two turns of the event loop. */
const STRETCH = 30;

/**
 * Gives the event loop a turn now and then: trees that answer at once would otherwise keep signals
 * and timers from being heard however often they are awaited.
 */
export class Pacer {
  #last = performance.now();

  /** Undefined, or a turn to wait for. */
  turn(): Promise<void> | undefined {
    if (performance.now() - this.#last < STRETCH) return undefined;
    return new Promise((resolve) => {
      setTimeout(() => {
        this.#last = performance.now();
        resolve();
      }, 0);
    });
  }
}
