/** Where a thread for machines starts: before it is known what for. Then it waits for orders. */
import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadData, ThreadOrder, ThreadReport } from './messages.ts';
import { prepareHarts, serve } from './serve.ts';

const code = await prepareHarts((workerData as ThreadData).code);
parentPort!.postMessage({ code } satisfies ThreadReport);
parentPort!.on('message', ({ order, port }: ThreadOrder) => void serve(order, port));
// Threads end at once: nothing would be kept of what they compiled.
flushCompileCache();
