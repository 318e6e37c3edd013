import { Worker } from 'node:worker_threads';

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

let spare: Worker | undefined;

function start(): Worker {
  return new Worker(new URL(`./machine-worker.${extension}`, import.meta.url), {
    name: 'anole machine',
    // Loading code makes much garbage: with room for it, starts are shorter.
    resourceLimits: { maxYoungGenerationSizeMb: 64, maxOldGenerationSizeMb: 4096 },
  });
}

/** Starts a thread for the next machine, which then need not wait for it to load. */
export function warmUp(): void {
  if (spare !== undefined) return;
  spare = start();
  spare.unref();
  // An error of a thread that nobody waits for is met again by the next one.
  spare.once('error', forget);
  spare.once('exit', forget);
}

function forget(): void {
  spare = undefined;
}

/** A thread that waits for the order of a machine. */
export function takeThread(): Worker {
  const thread = spare;
  if (thread === undefined) return start();
  spare = undefined;
  thread.off('error', forget);
  thread.off('exit', forget);
  thread.ref();
  return thread;
}
