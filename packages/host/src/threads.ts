import { syncBuiltinESMExports } from 'node:module';
import workerThreads, { Worker, type WorkerOptions } from 'node:worker_threads';
import { threadArguments, threadCode } from '@anole/bytes/threads';
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

/** Starts a thread from a module of ours. */
export function startThread(module: URL, options: WorkerOptions = {}): Worker {
  return new Thread(threadCode(module), { ...options, eval: true, execArgv: threadArguments() });
}

/** The end of the process ends its threads. */
function shutGates(): void {
  for (const gate of gates.values()) shutNow(gate);
}
