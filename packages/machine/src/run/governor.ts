import type { HostLoop } from './host-loop.ts';

/** Time that a machine may run at once after it was idle, ms: what keeps short commands fast. */
const BURST = 50;
/** Debts below this are not worth a timer, ms. */
const GRAIN = 2;

/** Has a machine stand still, or run only for a share of the time. */
export class Governor {
  #paused = false;
  #share: number | undefined;
  #credit = BURST;
  #at = performance.now();
  #busy = 0;
  #throttled = 0;

  /** Milliseconds that the machine was kept from running by its share. */
  get throttled(): number {
    return this.#throttled;
  }

  get paused(): boolean {
    return this.#paused;
  }

  set paused(paused: boolean) {
    this.#paused = paused;
  }

  /** Time of a processor, per time: above 0. Undefined: all there is. */
  get share(): number | undefined {
    return this.#share;
  }

  set share(share: number | undefined) {
    this.#share = share;
  }

  /**
   * Whether the machine has to rest now, and how long: a number of milliseconds, `Infinity` while paused,
   * 0 for not at all.
   *
   * @param busy milliseconds that it ran, in all
   */
  rest(busy: number): number {
    if (this.#paused) return Number.POSITIVE_INFINITY;
    if (this.#share === undefined) return 0;
    const now = performance.now();
    this.#credit += (now - this.#at) * this.#share - (busy - this.#busy);
    this.#credit = Math.min(this.#credit, BURST * Math.max(1, this.#share));
    this.#at = now;
    this.#busy = busy;
    const debt = -this.#credit / this.#share;
    return debt < GRAIN ? 0 : debt;
  }

  /** Rests as long as is to be rested, or until `ended`. `meanwhile` is called now and then. */
  async hold(
    loop: HostLoop,
    busy: number,
    ended: () => boolean,
    meanwhile: () => void,
  ): Promise<void> {
    for (let rest = this.rest(busy); rest > 0 && !ended(); rest = this.rest(busy)) {
      meanwhile();
      const begun = performance.now();
      await loop.sleep(Number.isFinite(rest) ? rest : undefined);
      if (!this.#paused) this.#throttled += performance.now() - begun;
    }
  }
}
