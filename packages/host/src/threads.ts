import { Worker, type WorkerOptions } from 'node:worker_threads';
import { type Gate, shut, shutNow, withGate } from './uninterrupted.ts';

/** Gates of the threads that run. */
const gates = new Map<Worker, Gate>();

/** A thread that is ended only where it may be: see {@link shut}. */
class Thread extends Worker {
  override async terminate(): Promise<number> {
    const gate = gates.get(this);
    if (gate) await shut(gate);
    return super.terminate();
  }
}

/**
 * Starts a thread from a module of ours. It uses the compile cache, which threads do not inherit: before
 * its first module that has types, since removing them takes longer than all the rest of a start.
 */
export function startThread(module: URL, options: WorkerOptions = {}): Worker {
  const file = bundled()?.[module.href] ?? module.href;
  const start = `require('node:module').enableCompileCache(); import(${JSON.stringify(file)});`;
  const all = { ...options, eval: true, execArgv: threadArguments() };
  const { thread, gate } = withGate(() => new Thread(start, all));
  if (gates.size === 0) process.on('exit', shutGates);
  gates.set(thread, gate);
  thread.once('exit', () => {
    gates.delete(thread);
    if (gates.size === 0) process.off('exit', shutGates);
  });
  return thread;
}

/** The end of the process ends its threads. */
function shutGates(): void {
  for (const gate of gates.values()) shutNow(gate);
}

/** Where the command runs from a bundle: files of it by the modules whose place they take. */
function bundled(): Readonly<Record<string, string>> | undefined {
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
