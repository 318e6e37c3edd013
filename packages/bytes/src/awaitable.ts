/**
 * A value that is there already or will be. Interfaces on the hot path (Source, Tree) return it so
 * that an answer from memory costs no trip through the event loop.
 */
export type Awaitable<T> = T | Promise<T>;

export function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return value instanceof Promise;
}

/** Applies `next` to the value: at once when it is there, later when it is not. */
export function chain<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return isPromise(value) ? value.then(next) : next(value);
}

/** Steps that may wait: what {@link flow} drives. */
export type Flow<T> = Generator<Promise<unknown>, T, unknown>;

/** Inside a {@link Flow}: `const bytes = yield* wait(source.read(0, 16))`. */
export function* wait<T>(value: Awaitable<T>): Flow<T> {
  return isPromise(value) ? ((yield value) as T) : value;
}

/**
 * Runs a generator to its end. As long as every `wait` finds its value there already, the result is
 * returned synchronously; from the first pending one on, it is a Promise. So one piece of logic
 * serves Sources in memory and Sources over a network.
 *
 * @example
 * const magic = flow(function* () {
 *   const head = yield* wait(source.read(0, 4));
 *   return head[0];
 * });
 */
export function flow<T>(steps: () => Flow<T>): Awaitable<T> {
  const running = steps();
  const first = running.next();
  return first.done ? first.value : resume(running, first.value);
}

async function resume<T>(running: Flow<T>, pending: Promise<unknown>): Promise<T> {
  let waiting = pending;
  for (;;) {
    const settled = await waiting.then(
      (value) => () => running.next(value),
      (error: unknown) => () => running.throw(error),
    );
    const step = settled();
    if (step.done) return step.value;
    waiting = step.value;
  }
}

/** A promise that is given up when a signal says so; what it stands for goes on. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
