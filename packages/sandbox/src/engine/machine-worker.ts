/**
 * Where a machine's thread starts: it loads the rest from the compile cache, which a thread does not
 * inherit, and waits for its order. So it can be started before it is known what for.
 */
import { enableCompileCache, flushCompileCache } from 'node:module';
import { parentPort } from 'node:worker_threads';
import type { MachineOrder } from './messages.ts';

enableCompileCache();
const order = new Promise<MachineOrder>((resolve) => parentPort!.once('message', resolve));
const { serve } = await import('./serve.ts');
// Threads end at once: nothing would be kept of what they compiled.
flushCompileCache();
await serve(await order);
