import { type Awaitable, isPromise } from '@anole/bytes';

/** A value that is made when it is first asked for. Where that fails, it is tried again next time. */
export class Once<T> {
  readonly #make: () => Awaitable<T>;
  #value: Awaitable<T> | undefined;

  constructor(make: () => Awaitable<T>) {
    this.#make = make;
  }

  get(): Awaitable<T> {
    if (this.#value !== undefined) return this.#value;
    const made = this.#make();
    this.#value = made;
    if (isPromise(made)) {
      made.then(
        (value) => {
          this.#value = value;
        },
        () => {
          this.#value = undefined;
        },
      );
    }
    return made;
  }
}
