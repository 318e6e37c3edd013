/** Who waits for a fetch: a reader, a reader of what was foreseen, or nobody yet. */
export type Urgency = 'demand' | 'foreseen' | 'ahead';

/**
 * Turns for fetches. Who fetches ahead of readers asks for {@link FetchQueue.room} before: there is
 * none while a reader is on its way to something that nobody foresaw, so that the link is its own.
 */
export class FetchQueue {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #demand = 0;
  #resting: (() => void)[] = [];

  /** @param most fetches at once */
  constructor(most: number) {
    this.#most = most;
  }

  async run<T>(urgency: Urgency, work: () => Promise<T>): Promise<T> {
    if (urgency === 'demand') this.#demand++;
    try {
      if (this.#running === this.#most) await new Promise<void>((go) => this.#waiting.push(go));
      else this.#running++;
      try {
        return await work();
      } finally {
        // Who waits longest takes over the turn.
        const next = this.#waiting.shift();
        if (next) next();
        else this.#running--;
      }
    } finally {
      if (urgency === 'demand') this.#leave();
    }
  }

  /** Returns once no reader waits for what nobody foresaw. */
  async room(): Promise<void> {
    while (this.#demand > 0) await new Promise<void>((go) => this.#resting.push(go));
  }

  #leave(): void {
    if (--this.#demand > 0) return;
    const resting = this.#resting;
    this.#resting = [];
    for (const go of resting) go();
  }
}
