import type { NetworkEvent } from '@anole/net';

const perSecond = 100;

/** Lets a bounded number of events through: a guest makes them at will. */
export class EventThrottle {
  readonly #pass: (event: NetworkEvent) => void;
  readonly #now: () => number;
  #left = perSecond;
  #since: number;

  constructor(pass: (event: NetworkEvent) => void, now = () => performance.now()) {
    this.#pass = pass;
    this.#now = now;
    this.#since = now();
  }

  add(event: NetworkEvent): void {
    const now = this.#now();
    this.#left = Math.min(perSecond, this.#left + ((now - this.#since) * perSecond) / 1000);
    this.#since = now;
    if (this.#left < 1) return;
    this.#left--;
    this.#pass(event);
  }
}
