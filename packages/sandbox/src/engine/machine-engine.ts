import type { Duplex } from 'node:stream';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { CallOptions } from '@anole/bytes';
import type { NetworkEvent } from '@anole/net';
import { SandboxError } from '../errors.ts';
import type { PublishedPort } from '../network/options.ts';
import { PortDuplex } from '../network/port-duplex.ts';
import type { About } from '../saved/description.ts';
import type {
  Channel,
  Engine,
  EngineEnd,
  EngineStatistics,
  Terminal,
  TerminalSize,
} from './engine.ts';
import { forkFrom } from './fork.ts';
import type { Command, MachineOrder, Report, SandboxFork } from './messages.ts';
import { errorOf } from './reported.ts';
import { type MachineHandle, type MachineThread, takeThread } from './threads.ts';

/** Bytes of terminal input on their way to the guest before a writer waits. */
const inputBound = 64 * 1024;

/** How long a machine may take to stop before its thread is ended. */
const stopPatience = 5000; // ms

/** The engine of this process: anole's own machine, in a worker thread. */
export class MachineEngine implements Engine {
  readonly agent: Channel;
  readonly files: MessagePort;
  readonly ended: Promise<EngineEnd>;
  ports: readonly PublishedPort[] = [];
  readonly #thread: MachineThread;
  readonly #handle: MachineHandle;
  /** Nothing of the machine runs any more. */
  readonly #stopped = Promise.withResolvers<void>();
  readonly #end = Promise.withResolvers<EngineEnd>();
  #hasEnded = false;
  readonly #terminals: WorkerTerminal[] = [];
  #onAgent: (bytes: Uint8Array) => void = () => {};
  readonly #order: MachineOrder;
  readonly #forks = new Map<number, PromiseWithResolvers<void>>();
  readonly #statistics = new Map<number, PromiseWithResolvers<EngineStatistics>>();
  onLimit: Engine['onLimit'] = () => {};
  #nextFork = 1;
  readonly #onNetwork: (event: NetworkEvent) => void;

  constructor(order: MachineOrder, onNetwork: (event: NetworkEvent) => void = () => {}) {
    const { fork, files: _, saved: __, configuration: ___, ...lasting } = order;
    this.#order = lasting;
    this.#onNetwork = onNetwork;
    this.ended = this.#end.promise;
    this.#thread = takeThread(order.cpus);
    const { port1, port2 } = new MessageChannel();
    this.files = port1;
    const onLost = (error: unknown) => {
      this.#finish(error === undefined ? 'closed' : 'failed', error === undefined ? {} : { error });
      this.#stopped.resolve();
    };
    const moved = fork === undefined ? [port2] : [port2, fork];
    this.#handle = this.#thread.start({ ...order, files: port2 }, moved, onLost);
    for (let index = 0; index < order.terminals; index++) {
      this.#terminals.push(new WorkerTerminal(index, (command) => this.#tell(command)));
    }
    this.agent = {
      send: (bytes) => this.#tell({ type: 'agent', bytes }, bytes),
      receive: (handler) => {
        this.#onAgent = handler;
      },
    };
    this.#handle.port.on('message', (report: Report) => this.#accept(report));
  }

  async openTerminal(): Promise<Terminal> {
    const free = this.#terminals.find((terminal) => !terminal.taken);
    if (free === undefined) {
      throw new SandboxError(
        'SANDBOX_RESOURCES',
        `Cannot open a terminal: the sandbox has ${this.#terminals.length}, all in use`,
        { hint: 'Create the sandbox with more `terminals`' },
      );
    }
    free.taken = true;
    return free;
  }

  async fork(configuration: Uint8Array<ArrayBuffer>): Promise<Engine> {
    // A copy of what has ended would be started, to be closed.
    if (this.#hasEnded) throw ended('copy the sandbox');
    const { port1: fork, port2: to } = new MessageChannel();
    const taken = this.#take({ code: true, to });
    // Its thread gets ready while the machine is taken in this one's.
    const order = { ...forkOrder(this.#order), configuration, fork };
    const copy = new MachineEngine(order, this.#onNetwork);
    try {
      await taken;
      return copy;
    } catch (error) {
      await copy.close();
      throw error;
    }
  }

  async save(
    path: string,
    about: () => About,
    options: Pick<CallOptions, 'signal'> = {},
  ): Promise<void> {
    const { saveSandbox } = await import('../saved/save.ts');
    await saveSandbox(path, about, { order: this.#order, take: () => this.#takeHere() }, options);
  }

  get cpuShare(): number | undefined {
    return this.#order.cpuShare;
  }

  /** Takes the machine for something in this thread. */
  async #takeHere(): Promise<SandboxFork> {
    const { port1, port2: to } = new MessageChannel();
    const fork = forkFrom(port1);
    fork.catch(() => {});
    try {
      await this.#take({ code: false, to });
      return await fork;
    } finally {
      port1.close();
    }
  }

  /**
   * Has the machine taken as it is now, and posted to a port: a {@link PostedFork}. Whoever goes on with it
   * has the other end; a thread on the way would read it only to write it again.
   */
  async #take({ code, to }: { readonly code: boolean; readonly to: MessagePort }): Promise<void> {
    const taken = Promise.withResolvers<void>();
    const id = this.#nextFork++;
    this.#forks.set(id, taken);
    this.#handle.port.postMessage({ type: 'fork', id, code, to } satisfies Command, [to]);
    try {
      await this.#unlessEnded(taken.promise, 'copy the sandbox');
    } finally {
      this.#forks.delete(id);
    }
  }

  pause(): void {
    this.#tell({ type: 'pause' });
  }

  resume(): void {
    this.#tell({ type: 'resume' });
  }

  share(share: number | undefined): void {
    this.#tell({ type: 'share', share });
  }

  connect(guest: number): Duplex | undefined {
    if (this.#order.network === undefined) return undefined;
    const { port1, port2 } = new MessageChannel();
    this.#handle.port.postMessage({ type: 'connect', guest, port: port2 } satisfies Command, [
      port2,
    ]);
    return new PortDuplex(port1);
  }

  async statistics(): Promise<EngineStatistics> {
    const waiting = Promise.withResolvers<EngineStatistics>();
    const id = this.#nextFork++;
    this.#statistics.set(id, waiting);
    this.#tell({ type: 'statistics', id });
    try {
      return await this.#unlessEnded(waiting.promise, 'count what the sandbox uses');
    } finally {
      this.#statistics.delete(id);
    }
  }

  /** @throws SandboxError `SANDBOX_CLOSED` where the machine ends before */
  #unlessEnded<T>(coming: Promise<T>, what: string): Promise<T> {
    const end = this.ended.then((): never => {
      throw ended(what);
    });
    return Promise.race([coming, end]);
  }

  async close(): Promise<void> {
    this.#finish('closed');
    this.#tell({ type: 'stop' });
    const timer = setTimeout(() => void this.#thread.end(), stopPatience);
    await this.#stopped.promise;
    clearTimeout(timer);
  }

  #tell(command: Command, bytes?: Uint8Array): void {
    const whole = bytes !== undefined && bytes.byteLength === bytes.buffer.byteLength;
    this.#handle.port.postMessage(command, whole ? [bytes.buffer as ArrayBuffer] : []);
  }

  #accept(report: Report): void {
    if (report.type === 'agent') this.#onAgent(report.bytes);
    else if (report.type === 'output') this.#terminals[report.terminal]?.accept(report.bytes);
    else if (report.type === 'taken') this.#terminals[report.terminal]?.took(report.bytes);
    else if (report.type === 'ended') this.#leave();
    else if (report.type === 'end') this.#finish(report.reason, report);
    else if (report.type === 'listening') this.ports = report.ports;
    else if (report.type === 'network') this.#onNetwork(report.event);
    else if (report.type === 'limit') this.onLimit(report.limit);
    else if (report.type === 'statistics') {
      this.#statistics.get(report.id)?.resolve(report.value);
    } else if (report.type === 'panic')
      this.#finish('panic', { panic: report.message, console: report.console });
    else if (report.type === 'forked') this.#forks.get(report.id)?.resolve();
    else if (report.type === 'not-forked') {
      this.#forks.get(report.id)?.reject(errorOf(report.error));
    } else this.#finish('failed', { error: errorOf(report.error), console: report.console });
  }

  /** The thread has let go of the machine. */
  #leave(): void {
    this.#finish('closed');
    this.#handle.leave();
    this.#stopped.resolve();
  }

  #finish(reason: EngineEnd['reason'], more: Partial<Omit<EngineEnd, 'reason'>> = {}): void {
    const { console = '', error, panic } = more;
    this.#hasEnded = true;
    this.#end.resolve({
      reason,
      console,
      ...(error !== undefined && { error }),
      ...(panic !== undefined && { panic }),
    });
    for (const terminal of this.#terminals) terminal.stop();
    this.files.close();
  }
}

function ended(what: string): SandboxError {
  return new SandboxError('SANDBOX_CLOSED', `Cannot ${what}: it ended`);
}

/** A copy's ports are other ones, any that are free; and its traffic is not captured. */
function forkOrder(order: MachineOrder): MachineOrder {
  if (order.network === undefined) return order;
  const { capture: _, ...network } = order.network;
  const publish = network.publish.map((port) => ({ ...port, port: 0 }));
  return { ...order, network: { ...network, publish } };
}

class WorkerTerminal implements Terminal {
  readonly name: string;
  taken = false;
  readonly #index: number;
  readonly #tell: (command: Command) => void;
  #handler: (bytes: Uint8Array) => void = () => {};
  #underWay = 0;
  #roomAgain: (() => void) | undefined;
  #stopped = false;

  constructor(index: number, tell: (command: Command) => void) {
    this.#index = index;
    this.name = `hvc${index + 1}`;
    this.#tell = tell;
  }

  async send(bytes: Uint8Array): Promise<void> {
    if (this.#stopped) return;
    this.#underWay += bytes.length;
    this.#tell({ type: 'input', terminal: this.#index, bytes });
    while (this.#underWay > inputBound && !this.#stopped) {
      await new Promise<void>((resolve) => {
        this.#roomAgain = resolve;
      });
    }
  }

  receive(handler: (bytes: Uint8Array) => void): void {
    this.#handler = handler;
  }

  consumed(bytes: number): void {
    this.#tell({ type: 'consumed', terminal: this.#index, bytes });
  }

  resize(size: TerminalSize): void {
    this.#tell({ type: 'resize', terminal: this.#index, size });
  }

  release(): void {
    this.#handler = (bytes) => this.consumed(bytes.length);
    this.taken = false;
  }

  accept(bytes: Uint8Array): void {
    this.#handler(bytes);
  }

  took(bytes: number): void {
    this.#underWay -= bytes;
    this.#roomAgain?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#roomAgain?.();
  }
}
