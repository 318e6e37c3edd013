import { availableParallelism } from 'node:os';
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { startThread } from '@anole/host/threads';
import type { HartParts } from '@anole/machine/runtime';
import { machineStamp } from './machine-stamp.ts';
import type { MachineOrder, ThreadData, ThreadOrder, ThreadReport } from './messages.ts';

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/** Threads beyond these have more than one machine: each costs memory, and time to start. */
const maxThreads = Math.max(4, availableParallelism());
/** Threads without a machine that are kept: what they have compiled serves the next one. */
const maxIdle = 2;

const threads = new Set<MachineThread>();
/** What the first thread made: those after it share it, and what the host's compiler made of it. */
let code: HartParts | undefined;

/** A thread in which machines run. */
export class MachineThread {
  readonly #worker: Worker;
  /** Told when the thread is gone, each for a machine that is in it. */
  readonly #machines = new Set<(error: unknown) => void>();
  #alone = false;

  constructor() {
    const data: ThreadData = { code, stamp: machineStamp() };
    this.#worker = startThread(new URL(`./machine-worker.${extension}`, import.meta.url), {
      name: 'anole machine',
      // Loading code makes much garbage: with room for it, starts are shorter.
      resourceLimits: { maxYoungGenerationSizeMb: 64, maxOldGenerationSizeMb: 4096 },
      workerData: data,
    });
    this.#worker.on('message', (report: ThreadReport) => {
      code ??= report.code;
    });
    this.#worker.on('error', (error) => this.#lost(error));
    this.#worker.on('exit', () => this.#lost(undefined));
    // What keeps a process alive is the port of a machine. Listening for messages does, too.
    this.#worker.unref();
    threads.add(this);
  }

  /** Machines in it; without end where one wants it alone. */
  get load(): number {
    return this.#alone ? Number.POSITIVE_INFINITY : this.#machines.size;
  }

  /**
   * Starts a machine in the thread.
   *
   * @param moved what of the order moves to the thread
   * @param onLost told where the thread ends before {@link MachineHandle.leave}
   */
  start(
    order: MachineOrder,
    moved: readonly MessagePort[],
    onLost: (error: unknown) => void,
  ): MachineHandle {
    const { port1, port2 } = new MessageChannel();
    this.#machines.add(onLost);
    // Harts of one machine wait for each other.
    this.#alone = order.cpus > 1;
    this.#worker.postMessage({ order, port: port2 } satisfies ThreadOrder, [port2, ...moved]);
    return {
      port: port1,
      leave: () => {
        port1.close();
        this.#machines.delete(onLost);
        this.#alone = false;
        if (this.load > 0 || !threads.has(this)) return;
        const idle = [...threads].filter((thread) => thread.load === 0);
        if (idle.length > maxIdle) void this.end();
      },
    };
  }

  /** Ends the thread and all machines in it. */
  async end(): Promise<void> {
    threads.delete(this);
    await this.#worker.terminate();
  }

  #lost(error: unknown): void {
    threads.delete(this);
    for (const tell of this.#machines) tell(error);
    this.#machines.clear();
  }
}

/** A machine of a thread, as seen from outside. */
export interface MachineHandle {
  readonly port: MessagePort;
  /** The machine has ended. */
  leave(): void;
}

/** Starts a thread for the next machine, which then need not wait for it to load. */
export function warmUp(): void {
  for (const thread of threads) if (thread.load === 0) return;
  if (threads.size < maxThreads) new MachineThread();
}

/**
 * The thread for another machine: one that has none, else a new one, else that with the fewest. One of
 * several processors has a thread alone.
 */
export function takeThread(cpus: number): MachineThread {
  const all = [...threads].sort((a, b) => a.load - b.load);
  const least = all[0];
  const most = cpus > 1 ? 0 : all.length < maxThreads ? 0 : Number.MAX_SAFE_INTEGER;
  return least === undefined || least.load > most ? new MachineThread() : least;
}
