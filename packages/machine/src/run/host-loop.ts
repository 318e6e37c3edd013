/**
 * Gives the host's event loop a turn, without Node's or a browser's own means: a message to oneself
 * is delivered after I/O that is ready, and unlike a timer it does not wait a millisecond.
 * docs/decisions/0032 has the measurements.
 */
export class HostLoop {
  readonly #channel = new MessageChannel();
  #turn: (() => void) | undefined;
  #wake: (() => void) | undefined;
  #woken = false;

  constructor() {
    this.#channel.port1.onmessage = () => {
      const turn = this.#turn;
      this.#turn = undefined;
      turn?.();
    };
  }

  /** Resolves after the host served what was ready. */
  yield(): Promise<void> {
    return new Promise((resolve) => {
      this.#turn = resolve;
      this.#channel.port2.postMessage(undefined);
    });
  }

  /** Resolves after `milliseconds` (never, when undefined) or at the next {@link wake}. */
  sleep(milliseconds: number | undefined): Promise<void> {
    if (this.#woken) {
      this.#woken = false;
      return this.yield();
    }
    return new Promise((resolve) => {
      const timer = milliseconds === undefined ? undefined : setTimeout(awake, milliseconds);
      const loop = this;
      function awake() {
        clearTimeout(timer);
        loop.#wake = undefined;
        loop.#woken = false;
        resolve();
      }
      this.#wake = awake;
    });
  }

  /** Ends the sleep under way; without one, the next sleep ends at once. */
  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  /** Frees the channel, which would keep a process alive. */
  close(): void {
    this.#channel.port1.close();
  }
}
