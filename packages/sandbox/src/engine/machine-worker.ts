/**
 * Where a machine's thread starts: it loads the rest from the compile cache, which a thread does not
 * inherit, and waits for its order. So it can be started before it is known what for.
 */
import { enableCompileCache, flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { MachineOrder, Report, ThreadData } from './messages.ts';

enableCompileCache();
const order = new Promise<MachineOrder>((resolve) => parentPort!.once('message', resolve));
const { serve, prepareHarts } = await import('./serve.ts');
const code = await prepareHarts((workerData as ThreadData).code);
parentPort!.postMessage({ type: 'code', code } satisfies Report);
// Threads end at once: nothing would be kept of what they compiled.
flushCompileCache();
await serve(await order);
