import type { Activity } from '@anole/host/native';

/** Milliseconds between two looks. */
const PERIOD = 1000;
/** Looks without an answer after which a service hangs that does nothing meanwhile, and any other. */
const IDLE = 10;
const ANY = 120;
/** Milliseconds of processor time between two looks from which on it does something. */
const LITTLE = 20;

export interface PulseOptions {
  /** Asks it for an answer: then {@link Pulse.answered} is to be called. */
  ask(): void;
  /** What it does; undefined where it is gone. */
  activity(): Activity | undefined;
  /** It does not answer any more. Called once. */
  onHang(): void;
}

/**
 * Tells whether a process still answers. One that is stopped or waits for itself is told soon; one that computes may
 * have much to do, on a computer that has more, and is given time. Looks are counted, not seconds: who looks may have
 * slept, too.
 */
export class Pulse {
  readonly #options: PulseOptions;
  readonly #timer: NodeJS.Timeout;
  #isAsked = false;
  #used = 0;
  #idle = 0;
  #silent = 0;

  constructor(options: PulseOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), PERIOD).unref();
  }

  answered(): void {
    this.#isAsked = false;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = this.#options.activity();
    if (now === undefined) return;
    const isIdle = !now.isRunnable && now.used - this.#used < LITTLE;
    this.#used = now.used;
    if (!this.#isAsked) {
      this.#isAsked = true;
      this.#idle = 0;
      this.#silent = 0;
      this.#options.ask();
      return;
    }
    this.#silent++;
    if (isIdle) this.#idle++;
    if (this.#idle < IDLE && this.#silent < ANY) return;
    this.stop();
    this.#options.onHang();
  }
}
