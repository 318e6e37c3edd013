import { syncBuiltinESMExports } from 'node:module';
import workerThreads, { Worker, type WorkerOptions } from 'node:worker_threads';
import { type Gate, keepGates, offerGate, shut, shutNow, tryShut } from './uninterrupted.ts';

export { isGuarded } from './uninterrupted.ts';

/** Gates of the threads that run. */
const gates = new Map<Worker, Gate>();

/** A thread that is ended only where it may be: see {@link shut}. */
class Thread extends Worker {
  constructor(file: string | URL, options?: WorkerOptions) {
    const gate = offerGate();
    try {
      super(file, options);
    } finally {
      keepGates();
    }
    if (gates.size === 0) process.on('exit', shutGates);
    gates.set(this, gate);
    this.once('exit', () => {
      gates.delete(this);
      if (gates.size === 0) process.off('exit', shutGates);
    });
  }

  override terminate(...args: []): Promise<number> {
    const gate = gates.get(this);
    if (gate === undefined || tryShut(gate)) return super.terminate(...args);
    return shut(gate).then(() => super.terminate(...args));
  }
}
Object.defineProperty(Thread, 'name', { value: Worker.name });

/**
 * Has all threads that this one starts from now on ended only where they may be: those of a program that knows
 * nothing of it, where what it has loaded uses the add-on in each thread.
 */
export function guardThreads(): void {
  if (workerThreads.Worker === Thread) return;
  workerThreads.Worker = Thread;
  syncBuiltinESMExports();
}

/**
 * Starts a thread from a module of ours. It uses the compile cache, which threads do not inherit: before
 * its first module that has types, since removing them takes longer than all the rest of a start.
 */
export function startThread(module: URL, options: WorkerOptions = {}): Worker {
  const file = bundled()?.entries[module.href] ?? module.href;
  const start = `require('node:module').enableCompileCache(); import(${JSON.stringify(file)});`;
  return new Thread(start, { ...options, eval: true, execArgv: threadArguments() });
}

/** The end of the process ends its threads. */
function shutGates(): void {
  for (const gate of gates.values()) shutNow(gate);
}

interface Bundle {
  /** Files by the modules whose place they take. */
  readonly entries: Readonly<Record<string, string>>;
}

/** Where the command runs from a bundle. */
function bundled(): Bundle | undefined {
  return Reflect.get(globalThis, Symbol.for('anole.bundle'));
}

/** Options of Node's that mean something to a thread: where modules are, warnings, profiles. */
const meant = /^(?:-C|--conditions|--disable-warning|--no-warnings|--(?:cpu|heap)-prof.*)(?:=|$)/;

/**
 * Of Node's options those for a thread. It would inherit what the process was started with, but not
 * what our launcher did in its place; and of a program from the command line, that it is one.
 */
export function threadArguments(given: readonly string[] = process.execArgv): string[] {
  return given.flatMap((word, at) => {
    if (!meant.test(word)) return [];
    const value = given[at + 1];
    const apart = (word === '-C' || word === '--conditions') && value !== undefined;
    return apart ? [word, value] : [word];
  });
}
