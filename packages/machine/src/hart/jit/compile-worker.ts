/** Where a thread that compiles starts, in Node and in browsers. */
import { receiveOrder } from '../../harts/threads.ts';
import { hear } from '../../run/hear.ts';
import { threadTime } from '../../run/thread-time.ts';
import { RAM_OFFSET } from '../layout.ts';
import { makeMemory } from '../memory-pool.ts';
import type { CompileAnswer, CompileOrder, CompileThreadOrder } from './compile-order.ts';
import { regionsModule } from './module.ts';
import { unpackRegions } from './packed-regions.ts';
import { proofOf } from './proof.ts';

const { port, proof } = (await receiveOrder()) as CompileThreadOrder;
const memory = makeMemory(RAM_OFFSET >> 16);
const table = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
port.postMessage(proofOf(proof));
hear(port, (data) => {
  // Not what the start of the thread took: that serves all machines, and one with a small share would owe seconds.
  const began = threadTime();
  const { number, ...order } = data as CompileOrder;
  const module = compile(order);
  port.postMessage({ number, module, busy: threadTime() - began } satisfies CompileAnswer);
});
port.onmessageerror = () => {
  throw new Error('An order to compile cannot be read');
};

function compile({ regions, fused }: Omit<CompileOrder, 'number'>): WebAssembly.Module | undefined {
  try {
    const bytes = regionsModule(unpackRegions(regions), { fused, shared: false });
    const module = new WebAssembly.Module(bytes);
    prepare(module);
    return module;
  } catch {
    return undefined;
  }
}

/**
 * Has the host compile the functions now: it does so when they are entered first. Without a budget they leave at
 * once.
 */
function prepare(module: WebAssembly.Module): void {
  const { exports } = new WebAssembly.Instance(module, { env: { memory, ram: memory, table } });
  for (const body of Object.values(exports)) (body as (pc: bigint, budget: number) => void)(0n, 0);
}
