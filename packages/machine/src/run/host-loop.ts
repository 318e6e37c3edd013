import { hear } from './hear.ts';

/** The longest that a timer of the host takes. */
const LONGEST_MS = 2 ** 31 - 1;

/** One message to oneself; resolves when it arrives. */
class Turn {
  readonly #channel = new MessageChannel();
  #arrived: () => void = () => {};

  constructor() {
    hear(this.#channel.port1, () => this.#arrived());
  }

  take(): Promise<void> {
    return new Promise((resolve) => {
      this.#arrived = resolve;
      this.#channel.port2.postMessage(undefined);
    });
  }

  close(): void {
    this.#channel.port1.close();
  }
}

/**
 * Gives the host's event loop a turn, without Node's or a browser's own means: a message to oneself
 * is delivered soon, unlike a timer, which waits for a millisecond. Two channels take turns: Node
 * delivers up to a thousand messages of one channel before it looks at timers and sockets again.
 * docs/decisions/0032 has the measurements.
 */
export class HostLoop {
  readonly #turns: readonly [Turn, Turn] = [new Turn(), new Turn()];
  #next: 0 | 1 = 0;
  #wake: (() => void) | undefined;
  #woken = false;

  /** Resolves after the host served what was ready. */
  yield(): Promise<void> {
    this.#next = this.#next === 0 ? 1 : 0;
    return this.#turns[this.#next].take();
  }

  /**
   * Resolves after `milliseconds` (never, when undefined) or at the next {@link wake}. A guest may ask for more
   * than a timer of the host takes, which would end at once: such a sleep ends after 24 days.
   */
  sleep(milliseconds: number | undefined): Promise<void> {
    if (this.#woken) {
      this.#woken = false;
      return this.yield();
    }
    return new Promise((resolve) => {
      const awake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        this.#woken = false;
        resolve();
      };
      const timer =
        milliseconds === undefined
          ? undefined
          : setTimeout(awake, Math.min(milliseconds, LONGEST_MS));
      this.#wake = awake;
    });
  }

  /** Ends the sleep under way; without one, the next sleep ends at once. */
  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  /** Frees the channels, which would keep a process alive. */
  close(): void {
    for (const turn of this.#turns) turn.close();
  }
}
