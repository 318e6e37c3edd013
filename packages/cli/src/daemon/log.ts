/** Bytes that are kept of what a command printed; the oldest go first. */
const maxBytes = 4 << 20;

export interface Printed {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

/** The end of what a command printed, for those who ask later. */
export class Log {
  #kept: Printed[] = [];
  #size = 0;
  #first = 0;
  #ended = false;
  readonly #waiting = new Set<() => void>();

  async keep(stream: Printed['stream'], from: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const bytes of from) {
      this.#kept.push({ stream, bytes });
      this.#size += bytes.length;
      while (this.#size > maxBytes && this.#kept.length > 1) {
        this.#size -= this.#kept.shift()!.bytes.length;
        this.#first++;
      }
      this.#wake();
    }
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** What is kept, and then what comes, if it is to be followed. */
  read(follow: boolean): AsyncGenerator<Printed> {
    return this.#read(this.#first, follow);
  }

  /** What comes from now on. */
  coming(): AsyncGenerator<Printed> {
    return this.#read(this.#first + this.#kept.length, true);
  }

  async *#read(from: number, follow: boolean): AsyncGenerator<Printed> {
    for (let at = from; ; ) {
      at = Math.max(at, this.#first);
      const printed = this.#kept[at - this.#first];
      if (printed !== undefined) {
        at++;
        yield printed;
      } else if (!follow || this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#waiting.add(resolve);
        });
      }
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
