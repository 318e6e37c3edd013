/** Values from one who pushes to one who reads. A push waits while too many are unread. */
export class Queue<T> implements AsyncIterable<T> {
  readonly #values: T[] = [];
  readonly #bound: number;
  #ended = false;
  #changed = Promise.withResolvers<void>();

  constructor(bound = 16) {
    this.#bound = bound;
  }

  async push(value: T): Promise<void> {
    while (this.#values.length >= this.#bound && !this.#ended) await this.#changed.promise;
    if (this.#ended) return;
    this.#values.push(value);
    this.#change();
  }

  /** What was pushed is still read. */
  end(): void {
    this.#ended = true;
    this.#change();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        if (this.#values.length > 0) {
          const value = this.#values.shift()!;
          this.#change();
          yield value;
        } else if (this.#ended) return;
        else await this.#changed.promise;
      }
    } finally {
      this.end();
    }
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
