import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

/**
 * An add-on that a thread's end interrupts while it makes objects ends the whole process: it cannot
 * raise an error any more, which Node takes for a fatal one. So both ask the thread's gate first.
 */
const OPEN = 0;
/** The thread is in {@link uninterrupted}. */
const TAKEN = 1;
/** The thread is being ended. */
const SHUT = 2;

/** Shared by a thread and by who started it: one 32-bit word. */
export type Gate = Int32Array<SharedArrayBuffer>;

const key = 'anole: gate of the thread';

/** Gives a thread that `start` starts a gate of its own. */
export function withGate<Thread>(start: () => Thread): { thread: Thread; gate: Gate } {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  setEnvironmentData(key, gate);
  try {
    return { thread: start(), gate };
  } finally {
    setEnvironmentData(key, undefined);
  }
}

/** Resolves when the thread may be ended: from then on it begins nothing that must not be cut off. */
export async function shut(gate: Gate): Promise<void> {
  while (Atomics.compareExchange(gate, 0, OPEN, SHUT) === TAKEN) {
    await Atomics.waitAsync(gate, 0, TAKEN).value;
  }
}

/** The same for who cannot wait otherwise. */
export function shutNow(gate: Gate): void {
  while (Atomics.compareExchange(gate, 0, OPEN, SHUT) === TAKEN) Atomics.wait(gate, 0, TAKEN);
}

let own: Gate | undefined;
let depth = 0;

/** Runs what must not be cut off by the end of this thread; short, since who ends it waits. */
export function uninterrupted<Result>(run: () => Result): Result {
  own ??= takeOwn();
  // A thread that is being ended waits here for its end.
  if (depth === 0)
    while (Atomics.compareExchange(own, 0, OPEN, TAKEN) === SHUT) Atomics.wait(own, 0, SHUT);
  depth++;
  try {
    return run();
  } finally {
    depth--;
    if (depth === 0) {
      Atomics.store(own, 0, OPEN);
      Atomics.notify(own, 0);
    }
  }
}

/** The gate that this thread was given, or one that nobody else has; not handed on to its threads. */
function takeOwn(): Gate {
  const given = getEnvironmentData(key) as Gate | undefined;
  setEnvironmentData(key, undefined);
  return given ?? new Int32Array(new SharedArrayBuffer(4));
}
