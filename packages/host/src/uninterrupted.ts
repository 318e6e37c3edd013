import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';

/**
 * An add-on that a thread's end interrupts while it makes objects ends the whole process: it cannot
 * raise an error any more, which Node takes for a fatal one. So both ask the thread's gate first. Who ends a
 * thread ends the threads that it has started, too: these ask the gates of all above them.
 *
 * A gate is one 32-bit word, which these threads share: how many of them are in {@link uninterrupted}, and
 * {@link SHUT}. See docs/decisions/0173-threads-that-may-be-ended.md.
 */
export type Gate = Int32Array<SharedArrayBuffer>;

/** The thread is being ended: nobody comes in any more. */
const SHUT = 1 << 30;

/** Milliseconds after which a thread is ended whatever it is in: it may have died there. */
const PATIENCE = 10_000;
/** Milliseconds between looks, where nobody tells. */
const LOOK = 10;

const key = 'anole: gates of the thread';

/**
 * Gates of this thread and of those above it, its own first; the main one has none, since nobody ends it alone.
 * Another copy of this module has the same.
 */
const gates = takeGates();

function takeGates(): readonly Gate[] {
  const known = Symbol.for('anole.gates');
  const here = globalThis as { [known]?: readonly Gate[] };
  if (here[known] === undefined) {
    here[known] = (getEnvironmentData(key) as readonly Gate[] | undefined) ?? [];
    // Threads that do not get a gate of their own must not take this one's for theirs.
    setEnvironmentData(key, undefined);
  }
  return here[known];
}

/** Whether who ends this thread asks before. If not, it may be cut off at any moment. */
export const isGuarded = isMainThread || gates.length > 0;

/** Gives the thread that is started next a gate of its own; {@link keepGates} has to follow. */
export function offerGate(): Gate {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  setEnvironmentData(key, [gate, ...gates]);
  return gate;
}

export function keepGates(): void {
  setEnvironmentData(key, undefined);
}

/** Whether the thread may be ended now: from here on it begins nothing that must not be cut off. */
export function tryShut(gate: Gate): boolean {
  return (Atomics.or(gate, 0, SHUT) & ~SHUT) === 0;
}

/** The same, once what the thread is in has ended. */
export async function shut(gate: Gate): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!tryShut(gate) && Date.now() < end) {
    await Atomics.waitAsync(gate, 0, Atomics.load(gate, 0), LOOK).value;
  }
}

/** The same for who cannot wait otherwise. */
export function shutNow(gate: Gate): void {
  const end = Date.now() + PATIENCE;
  while (!tryShut(gate) && Date.now() < end) {
    Atomics.wait(gate, 0, Atomics.load(gate, 0), LOOK);
  }
}

let depth = 0;

/** Runs what must not be cut off by the end of this thread; short, since who ends it waits. */
export function uninterrupted<Result>(run: () => Result): Result {
  // Its own first: of a thread that waits for its end, nothing is counted at the gates above.
  if (depth === 0) gates.forEach(enter);
  depth++;
  try {
    return run();
  } finally {
    depth--;
    if (depth === 0) gates.forEach(leave);
  }
}

function enter(gate: Gate): void {
  // Counted first, so that who shuts the gate either sees it or is seen.
  while ((Atomics.add(gate, 0, 1) & SHUT) !== 0) {
    Atomics.sub(gate, 0, 1);
    // A thread that is being ended waits here for its end.
    Atomics.wait(gate, 0, Atomics.load(gate, 0));
  }
}

function leave(gate: Gate): void {
  Atomics.sub(gate, 0, 1);
  Atomics.notify(gate, 0);
}
