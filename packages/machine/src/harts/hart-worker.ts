/** Where the thread of a hart starts, in Node and in browsers: it waits for its order. */
import type { HartOrder } from './hart-order.ts';
import { runHart } from './hart-thread.ts';
import { receiveOrder } from './threads.ts';

await runHart((await receiveOrder()) as HartOrder);
