/**
 * Where a thread for machines starts: it loads the rest from the compile cache, which a thread does not
 * inherit, and waits for orders. So it can be started before it is known what for.
 */
import { enableCompileCache, flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadData, ThreadOrder, ThreadReport } from './messages.ts';

enableCompileCache();
const { serve, prepareHarts } = await import('./serve.ts');
const code = await prepareHarts((workerData as ThreadData).code);
parentPort!.postMessage({ code } satisfies ThreadReport);
parentPort!.on('message', ({ order, port }: ThreadOrder) => void serve(order, port));
// Threads end at once: nothing would be kept of what they compiled.
flushCompileCache();
