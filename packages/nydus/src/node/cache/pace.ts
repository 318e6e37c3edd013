import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds that a timer takes at most. */
const LONGEST = 2 ** 31 - 1;

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
  #rate: number | undefined;
  /** When all that was asked for will have come at that rate, in milliseconds. */
  #free = 0;
  #begun: Begun | undefined;

  /** Bytes a second. No bound where undefined. */
  get rate(): number | undefined {
    return this.#rate;
  }

  /** What is still to come counts at the new rate for who asks from now on. */
  set rate(rate: number | undefined) {
    const now = performance.now();
    const left =
      ((this.#rate ?? 0) * Math.max(0, this.#free - now)) / (rate ?? Number.POSITIVE_INFINITY);
    this.#free = now + left;
    this.#rate = rate;
  }

  /** Returns when so many bytes may be asked for. */
  async turn(length: number, signal?: AbortSignal): Promise<void> {
    // It may be what has begun ahead, and if not, it comes before the next that is.
    this.#begun?.end();
    if (this.#rate === undefined) return;
    const now = performance.now();
    const start = Math.max(now, this.#free);
    this.#free = start + (1000 * length) / this.#rate;
    for (let wait = start - now; wait > 0; wait = start - performance.now()) {
      await sleep(Math.min(wait, LONGEST), undefined, signal ? { signal } : {});
    }
  }

  /** Returns when something may be begun ahead of readers. It is to be told when that has ended. */
  async room(signal: AbortSignal): Promise<Disposable> {
    for (;;) {
      const wait = this.#rate === undefined ? 0 : this.#free - performance.now();
      if (wait > 0) await sleep(Math.min(wait, LONGEST), undefined, { signal });
      else if (this.#begun !== undefined && this.#rate !== undefined) await this.#begun.over;
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
