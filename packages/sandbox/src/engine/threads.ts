import { Worker } from 'node:worker_threads';
import { threadArguments } from '@anole/host';
import type { HartParts } from '@anole/machine';
import type { Report, ThreadData } from './messages.ts';

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

let spare: Worker | undefined;
/** What the first thread made: those after it share it, and what the host's compiler made of it. */
let code: HartParts | undefined;

function start(): Worker {
  const data: ThreadData = { code };
  const thread = new Worker(new URL(`./machine-worker.${extension}`, import.meta.url), {
    ...threadArguments(),
    name: 'anole machine',
    // Loading code makes much garbage: with room for it, starts are shorter.
    resourceLimits: { maxYoungGenerationSizeMb: 64, maxOldGenerationSizeMb: 4096 },
    workerData: data,
  });
  thread.on('message', (report: Report) => {
    if (report.type === 'code') code ??= report.code;
  });
  return thread;
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
