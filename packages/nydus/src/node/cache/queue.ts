/** Who waits for a fetch: a reader, or nobody yet. */
export type Urgency = 'demand' | 'ahead';

interface Waiting {
  run(): void;
}

/**
 * Turns for fetches. What a reader waits for goes first, and what is fetched ahead begins only while
 * no reader waits for a turn, and never takes the last one.
 */
export class FetchQueue {
  readonly #most: number;
  readonly #waiting: Readonly<Record<Urgency, Waiting[]>> = { demand: [], ahead: [] };
  readonly #running: Record<Urgency, number> = { demand: 0, ahead: 0 };

  /** @param most fetches at once */
  constructor(most: number) {
    this.#most = most;
  }

  /** Fetches that run or wait, of readers. */
  get demand(): number {
    return this.#running.demand + this.#waiting.demand.length;
  }

  async run<T>(urgency: Urgency, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve) => {
      this.#waiting[urgency].push({ run: resolve });
      this.#next();
    });
    try {
      return await work();
    } finally {
      this.#running[urgency]--;
      this.#next();
    }
  }

  #next(): void {
    while (this.#running.demand + this.#running.ahead < this.#most) {
      const urgency = this.#waiting.demand.length > 0 ? 'demand' : 'ahead';
      // While a reader's fetch is on its way, the link is its own.
      if (
        urgency === 'ahead' &&
        (this.#running.demand > 0 || this.#running.ahead > this.#most / 2)
      ) {
        return;
      }
      const next = this.#waiting[urgency].shift();
      if (next === undefined) return;
      this.#running[urgency]++;
      next.run();
    }
  }
}
