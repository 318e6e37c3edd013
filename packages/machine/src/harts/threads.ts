/** Threads as Node and browsers have them alike: started with an order, ended from outside. */
import { threadArguments, threadCode } from '@anole/bytes/threads';

export interface Thread {
  /** Lets the process end while it runs. */
  unref(): void;
  /** Resolves when nothing of it runs any more. */
  end(): Promise<void>;
}

/** What is used of Node's module for threads. */
interface NodeThreads {
  readonly receiveMessageOnPort: (port: MessagePort) => { readonly message: unknown } | undefined;
  readonly Worker: new (code: string, options: object) => NodeWorker;
  readonly parentPort: { once(event: 'message', listener: (order: unknown) => void): void } | null;
}

interface NodeWorker {
  postMessage(value: unknown, transfer: readonly unknown[]): void;
  unref(): void;
  on(event: 'error', listener: (error: Error) => void): void;
  terminate(): Promise<number>;
}

/** Node's module, without an import that browsers would stumble over. */
const nodeThreads: NodeThreads | undefined =
  typeof process === 'undefined'
    ? undefined
    : (process.getBuiltinModule?.('node:worker_threads') as unknown as NodeThreads | undefined);

/** Starts a thread from a module, which gets `order` by {@link receiveOrder}, and ports of it for its own. */
export function startThread(
  module: URL,
  name: string,
  order: unknown,
  onError: (error: unknown) => void,
  ports: readonly MessagePort[] = [],
): Thread {
  if (nodeThreads !== undefined) {
    const options = { name, eval: true, execArgv: threadArguments() };
    const worker = new nodeThreads.Worker(threadCode(module), options);
    worker.on('error', onError);
    worker.postMessage(order, ports);
    return {
      unref: () => worker.unref(),
      end: async () => void (await worker.terminate()),
    };
  }
  const worker = new Worker(module, { type: 'module', name });
  worker.onerror = (event) => onError(event.error ?? new Error(event.message));
  worker.postMessage(order, [...ports]);
  return { unref: () => {}, end: async () => worker.terminate() };
}

/** Whether a thread can take messages without a turn of the host's loop: not in browsers. */
export const canTakeMessages = nodeThreads !== undefined;

/**
 * The next message of a port without a listener; undefined where there is none. Where there is a listener, the
 * host's loop takes messages, too.
 */
export const takeMessage = (port: MessagePort): unknown =>
  nodeThreads?.receiveMessageOnPort(port)?.message;

/** Whether there are threads. */
export const hasThreads = (): boolean => nodeThreads !== undefined || typeof Worker !== 'undefined';

/** What modules are called, as this one is: `ts` in source, else `js`. */
export const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/** The order of the thread that this is called in. */
export function receiveOrder(): Promise<unknown> {
  return new Promise((resolve) => {
    if (nodeThreads === undefined) {
      globalThis.addEventListener('message', ({ data }) => resolve(data), { once: true });
    } else nodeThreads.parentPort!.once('message', resolve);
  });
}
