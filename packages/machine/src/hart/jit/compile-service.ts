import { extension, hasThreads, startThread, type Thread } from '../../harts/threads.ts';
import type { CompileAnswer, CompileOrder } from './compile-order.ts';

/** How long a thread stays that has nothing to do. */
const IDLE_MS = 5000;

/** In Node, what would keep the process alive. */
interface Unrefable {
  unref?(): void;
}

interface Waiting {
  resolve(answer: CompileAnswer): void;
  reject(error: unknown): void;
}

/** A thread that compiles for all harts of this one: started when there is something to do, and ended when idle. */
class CompileService {
  readonly #waiting: Waiting[] = [];
  #thread: Thread | undefined;
  #port: MessagePort | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  /** Rejects where the thread could not start, or failed. */
  compile(order: CompileOrder): Promise<CompileAnswer> {
    clearTimeout(this.#idle);
    this.#port ??= this.#start();
    this.#port.postMessage(order, [order.regions.buffer]);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #start(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const module = new URL(`./compile-worker.${extension}`, import.meta.url);
    const onError = (error: unknown): void => {
      for (const { reject } of this.#stop()) reject(error);
    };
    this.#thread = startThread(module, 'anole compiler', { port: port2 }, onError, [port2]);
    this.#thread.unref();
    port1.onmessage = ({ data }) => this.#answered(data as CompileAnswer);
    (port1 as Unrefable).unref?.();
    return port1;
  }

  #answered(answer: CompileAnswer): void {
    this.#waiting.shift()!.resolve(answer);
    if (this.#waiting.length > 0) return;
    this.#idle = setTimeout(() => this.#stop(), IDLE_MS);
    (this.#idle as Unrefable).unref?.();
  }

  /** Gives what nobody will answer. */
  #stop(): Waiting[] {
    this.#port?.close();
    void this.#thread?.end();
    this.#port = undefined;
    this.#thread = undefined;
    return this.#waiting.splice(0);
  }
}

let service: CompileService | undefined;

/** That of this thread; undefined where there are no threads. */
export function compileService(): CompileService | undefined {
  if (hasThreads()) service ??= new CompileService();
  return service;
}
