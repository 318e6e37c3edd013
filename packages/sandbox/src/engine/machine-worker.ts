/** Where a thread for machines starts: before it is known what for. Then it waits for orders. */
import { parentPort, workerData } from 'node:worker_threads';
import { useMachineStamp } from './machine-stamp.ts';
import type { ThreadData, ThreadOrder, ThreadReport } from './messages.ts';
import { prepareHarts, serve } from './serve.ts';

const { code: known, stamp } = workerData as ThreadData;
useMachineStamp(stamp);
const code = await prepareHarts(known);
parentPort!.postMessage({ code } satisfies ThreadReport);
parentPort!.on('message', ({ order, port }: ThreadOrder) => void serve(order, port));
