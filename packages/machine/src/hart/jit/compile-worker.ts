/** Where a thread that compiles starts, in Node and in browsers. */
import { receiveOrder } from '../../harts/threads.ts';
import { threadTime } from '../../run/thread-time.ts';
import { RAM_OFFSET } from '../layout.ts';
import type { CompileAnswer, CompileOrder, CompileThreadOrder } from './compile-order.ts';
import { regionsModule } from './module.ts';
import { unpackRegions } from './packed-regions.ts';

const { port } = (await receiveOrder()) as CompileThreadOrder;
const memory = new WebAssembly.Memory({ initial: RAM_OFFSET >> 16 });
const table = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
port.onmessage = ({ data }) => {
  const began = threadTime();
  const module = compile(data as CompileOrder);
  port.postMessage({ module, busy: threadTime() - began } satisfies CompileAnswer);
};

function compile({ regions, fused }: CompileOrder): WebAssembly.Module | undefined {
  try {
    const bytes = regionsModule(unpackRegions(regions), { fused, shared: false });
    const module = new WebAssembly.Module(bytes);
    prepare(module);
    return module;
  } catch (error) {
    if (!(error instanceof WebAssembly.CompileError || error instanceof RangeError)) throw error;
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
