/** Bytes of a terminal's output that may wait for their reader before the guest does. */
const bound = 1024 * 1024;

/** Holds a terminal's device up while its reader is too far behind. */
export class OutputGate {
  #waiting = 0;
  #open: (() => void) | undefined;

  /** @returns undefined to go on, or what settles when the reader has caught up */
  sent(bytes: number): Promise<void> | undefined {
    this.#waiting += bytes;
    if (this.#waiting <= bound) return undefined;
    return new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  consumed(bytes: number): void {
    this.#waiting -= bytes;
    if (this.#waiting > bound / 2) return;
    this.#open?.();
    this.#open = undefined;
  }
}
