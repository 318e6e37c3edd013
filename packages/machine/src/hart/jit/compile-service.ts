import { extension, hasThreads, startThread, type Thread } from '../../harts/threads.ts';
import { hear } from '../../run/hear.ts';
import type { CompileAnswer, CompileOrder, CompileThreadOrder } from './compile-order.ts';
import { proofOf, proofRegions } from './proof.ts';

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

/**
 * A thread that compiles for all harts of this one: started when there is something to do, and ended when idle. Its
 * sources are read at each start and may be others by then, so it has to prove that it compiles as this thread does.
 */
export class CompileService {
  readonly #module: URL;
  /** By the numbers of their orders. */
  readonly #waiting = new Map<number, Waiting>();
  #orders = 0;
  #thread: Thread | undefined;
  #port: MessagePort | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;
  /** What has to come of the proof. */
  #expected: Uint8Array | undefined;
  /** Why no thread is started any more. */
  #unfit: Error | undefined;

  constructor(module = new URL(`./compile-worker.${extension}`, import.meta.url)) {
    this.#module = module;
  }

  /** Takes the regions away. Rejects where the thread could not start, or failed. */
  async compile({ regions, fused }: Omit<CompileOrder, 'number'>): Promise<CompileAnswer> {
    if (this.#unfit !== undefined) throw this.#unfit;
    clearTimeout(this.#idle);
    this.#port ??= this.#start();
    const order: CompileOrder = { number: this.#orders++, regions, fused };
    this.#port.postMessage(order, [regions.buffer]);
    return new Promise((resolve, reject) => this.#waiting.set(order.number, { resolve, reject }));
  }

  #start(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const proof = proofRegions();
    this.#expected ??= proofOf(proof);
    const order: CompileThreadOrder = { port: port2, proof };
    const fail = (error: unknown): void => {
      if (this.#port === port1) this.#fail(error);
    };
    this.#thread = startThread(this.#module, 'anole compiler', order, fail, [port2]);
    this.#thread.unref();
    hear(port1, (data) => {
      if (data instanceof Uint8Array) this.#proved(data);
      else this.#answered(data as CompileAnswer);
    });
    port1.onmessageerror = () => fail(new Error('An answer of the compiler cannot be read'));
    (port1 as Unrefable).unref?.();
    return port1;
  }

  #proved(bytes: Uint8Array): void {
    const expected = this.#expected!;
    if (bytes.length === expected.length && bytes.every((byte, at) => byte === expected[at]))
      return;
    this.#unfit = new Error('The compiler was made from other sources');
    this.#fail(this.#unfit);
  }

  #answered(answer: CompileAnswer): void {
    this.#waiting.get(answer.number)?.resolve(answer);
    this.#waiting.delete(answer.number);
    if (this.#waiting.size > 0) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#stop(), IDLE_MS);
    (this.#idle as Unrefable).unref?.();
  }

  #fail(error: unknown): void {
    this.#stop();
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #stop(): void {
    clearTimeout(this.#idle);
    this.#port?.close();
    void this.#thread?.end();
    this.#port = undefined;
    this.#thread = undefined;
  }
}

let service: CompileService | undefined;

/** That of this thread; undefined where there are no threads. */
export function compileService(): CompileService | undefined {
  if (hasThreads()) service ??= new CompileService();
  return service;
}
