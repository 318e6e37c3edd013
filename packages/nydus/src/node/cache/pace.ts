import { setTimeout as sleep } from 'node:timers/promises';

/** What nobody waits for yet, which has begun and has asked for nothing so far. */
interface Begun {
  readonly over: Promise<void>;
  end(): void;
}

/**
 * A bound of what comes over a link. Who waits for bytes takes a turn, in the order in which they come. What is fetched
 * ahead of readers asks for room before it begins: there is none while anything that was asked for is still to come, so
 * that a reader waits for one such piece at most. See docs/decisions/0288-a-bound-serves-readers-first.md.
 */
export class Pace {
  /** Bytes a second. No bound where undefined. */
  rate: number | undefined;
  /** When all that was asked for will have come at that rate, in milliseconds. */
  #free = 0;
  #begun: Begun | undefined;

  /** Returns when so many bytes may be asked for. */
  async turn(length: number, signal?: AbortSignal): Promise<void> {
    // It may be what has begun ahead, and if not, it comes before the next that is.
    this.#begun?.end();
    if (this.rate === undefined) return;
    const now = performance.now();
    const start = Math.max(now, this.#free);
    this.#free = start + (1000 * length) / this.rate;
    if (start > now) await sleep(start - now, undefined, signal ? { signal } : {});
  }

  /** Returns when something may be begun ahead of readers. It is to be told when that has ended. */
  async room(signal: AbortSignal): Promise<Disposable> {
    for (;;) {
      const wait = this.rate === undefined ? 0 : this.#free - performance.now();
      if (wait > 0) await sleep(wait, undefined, { signal });
      else if (this.#begun !== undefined && this.rate !== undefined) await this.#begun.over;
      else return this.#begin();
    }
  }

  #begin(): Disposable {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = () => {
      if (this.#begun === begun) this.#begun = undefined;
      resolve();
    };
    const begun = { over: promise, end };
    this.#begun = begun;
    return { [Symbol.dispose]: end };
  }
}
