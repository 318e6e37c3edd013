import { type HartParts, hartParts } from '../hart/create.ts';
import type { GuestMemory } from '../hart/guest-memory.ts';
import type { Bus, Hart } from '../hart/hart.ts';
import type { JitOptions } from '../hart/jit/options.ts';
import type { SbiHost } from '../platform/sbi.ts';
import { BoardServer } from './board-server.ts';
import { CodeChannel, codePorts } from './code-channel.ts';
import { HartLink } from './hart-link.ts';
import type { HartOrder } from './hart-order.ts';
import * as at from './layout.ts';
import { SharedHarts } from './shared-harts.ts';
import { extension, startThread, type Thread } from './threads.ts';

export interface CrewOptions {
  /** Harts of the machine, 2 to {@link at.MAX_HARTS}. */
  readonly count: number;
  /** Shared. */
  readonly memory: GuestMemory;
  readonly jit: JitOptions | undefined;
  /** When guest time began, by `sharedNow`. */
  readonly origin: number;
  /** A thread failed: the machine cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

/** What a hart other than the first has in a snapshot beside its own state. */
export interface LinkState {
  status: number;
  lines: number;
  interrupt: number;
  startPc: bigint;
  startArgument: bigint;
}

/** How long the others of a copy may have to wait for hart 0, which may itself wait for one of them. */
const HOLD_MS = 20;

/**
 * The harts of a machine with several: hart 0 runs in this thread, which has the devices; each of the
 * others in a thread of its own. See docs/decisions/0025.
 */
export class Crew {
  /** How hart 0 sees the others. */
  readonly harts: SharedHarts;
  readonly links: readonly HartLink[];
  /** How hart 0 gives the others what it compiles, and takes theirs. */
  readonly exchange: CodeChannel | undefined;
  readonly #others: readonly HartLink[];
  readonly #options: CrewOptions;
  readonly #threads: Thread[] = [];
  readonly #parts: HartParts;
  #server: BoardServer | undefined;
  /** States of harts 1 and on to go on from. */
  #states: readonly Uint8Array[] = [];
  /** The bell of hart 0 is listened to. */
  #listening = false;
  /** The others stand still until {@link release}. */
  #held = false;
  #patience: ReturnType<typeof setTimeout> | undefined;

  private constructor(options: CrewOptions, parts: HartParts) {
    const { count, memory } = options;
    this.#options = options;
    this.#parts = parts;
    this.links = Array.from({ length: count }, (_, index) => new HartLink(memory.wasm, index));
    this.#others = this.links.slice(1);
    this.resting = false;
    this.exchange = options.jit && CodeChannel.open(this.links, 0, memory.wasm);
    memory.onDeviceWrite = () => this.harts.own.count(at.DEVICE_WRITES);
    this.harts = new SharedHarts(this.links, 0, () => this.#server?.serve());
    for (const link of this.#others) {
      link.set(at.STATUS, at.HartStatus.stopped);
    }
  }

  static async create(options: CrewOptions): Promise<Crew> {
    const wanted = { compiles: options.jit !== undefined, shared: true };
    return new Crew(options, await hartParts(wanted));
  }

  /** Says what answers the calls of the other harts. */
  serve(bus: Bus, host: Omit<SbiHost, 'harts'>): void {
    this.#server = new BoardServer(this.links, this.#options.memory, bus, host);
  }

  /** Starts the threads; resolves when all are there, or stopped. */
  async start(): Promise<void> {
    const { count, memory, jit, origin, onFailure } = this.#options;
    const ports = this.exchange && codePorts(count);
    this.exchange?.connect(ports![0]!);
    for (const { index } of this.#others) {
      const own = ports?.[index] ?? [];
      const state = this.#states[index - 1];
      if (state !== undefined) this.links[index]!.data(state.length).set(state);
      const order: HartOrder = {
        hart: index,
        count,
        ram: memory.wasm,
        ramSize: memory.size,
        backed: memory.backed,
        parts: this.#parts,
        jit,
        codePorts: own,
        origin,
        savedBytes: state?.length ?? 0,
      };
      const module = new URL(`./hart-worker.${extension}`, import.meta.url);
      this.#threads.push(startThread(module, `anole hart ${index}`, order, onFailure, own));
    }
    // A guest that starts a hart does not wait for long.
    for (;;) {
      const { bell } = this;
      if (this.#threads.length === 0 || this.#others.every((link) => link.get(at.READY) !== 0))
        break;
      await this.links[0]!.waitAsync(bell);
    }
    if (this.#held) this.#patience = setTimeout(() => this.release(), HOLD_MS);
  }

  /** Ends the threads, whatever they do. */
  async stop(): Promise<void> {
    const threads = this.#threads.splice(0);
    clearTimeout(this.#patience);
    this.exchange?.close();
    this.links[0]!.ring();
    await Promise.all(threads.map((thread) => thread.end()));
  }

  /** See {@link HartLink.bell}: that of hart 0. */
  get bell(): number {
    return this.links[0]!.bell;
  }

  /**
   * Does what others want of hart 0 between its slices. Whether it has nothing to execute: it is
   * stopped, or it waited (`idle`) and no interrupt came.
   */
  staysWaiting(hart: Hart, idle: boolean): boolean {
    if (this.harts.asked()) this.harts.lookUp(hart);
    const stopped = this.harts.isStopped;
    if (!this.harts.enter(hart)) return true;
    return idle && !stopped && !hart.interruptPending;
  }

  /** Hart 0 does not run while the host's event loop turns: nobody need wait for it. */
  set resting(value: boolean) {
    this.links[0]!.isAsleep = value;
  }

  /** Has `wake` called at the next ring for hart 0. Whether there was one since `bell`. */
  listen(bell: number, wake: () => void): boolean {
    const link = this.links[0]!;
    if (link.bell !== bell) return true;
    if (this.#listening) return false;
    const rung = link.waitAsync(bell);
    if (rung === undefined) return true;
    this.#listening = true;
    void rung.then(() => {
      this.#listening = false;
      wake();
    });
    return false;
  }

  /** Whether all others wait for an interrupt, or for their start. */
  get isIdle(): boolean {
    return this.#others.every((link) => link.isAsleep);
  }

  /** Instructions retired by the other harts, and milliseconds spent on them. */
  get statistics(): { readonly instructions: number; readonly busy: number } {
    let instructions = 0;
    let busy = 0;
    for (const link of this.#others) {
      instructions += link.getDouble(at.INSTRUCTIONS);
      busy += link.getDouble(at.BUSY);
    }
    return { instructions, busy };
  }

  /** Makes all others stand still between two instructions, answering their calls until they do. */
  pause(hart: Hart): void {
    for (const link of this.#others) {
      link.set(at.PAUSE, 1);
      link.ask();
    }
    this.harts.waitUntil(hart, () => {
      this.#server?.serve();
      return this.#others.every((link) => link.get(at.PAUSED) !== 0);
    });
  }

  /** Before the start: hart 0 has something to do before the others go on. Not for long: see {@link HOLD_MS}. */
  hold(): void {
    this.#held = true;
    for (const link of this.#others) {
      link.set(at.PAUSE, 1);
      link.set(at.ATTENTION, 1);
    }
  }

  /** Ends what {@link hold} began. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    clearTimeout(this.#patience);
    this.resume();
  }

  /** Has all others forget their translations. */
  flushTlbs(hart: Hart): void {
    if (this.#threads.length > 0)
      this.harts.fence(hart, (1 << this.links.length) - 2, { kind: 'all' });
  }

  /** Ends a {@link pause}; those that are held go on when they are released. */
  resume(): void {
    if (this.#held) return;
    for (const link of this.#others) {
      link.set(at.PAUSE, 0);
      link.ring();
    }
  }

  /**
   * States of the other harts: of those that stand still, or else as they start. `fresh` is the
   * state of a hart that never ran.
   */
  savedStates(fresh: Uint8Array): readonly Uint8Array[] {
    return this.#others.map((link, index) =>
      this.#threads.length > 0 ? link.data(fresh.length).slice() : (this.#states[index] ?? fresh),
    );
  }

  /** Before the start: the other harts go on from such states. */
  restoreStates(states: readonly Uint8Array[]): void {
    this.#states = states;
  }

  /** What else there is to save, of all harts. */
  get linkStates(): readonly LinkState[] {
    return this.links.map((link) => ({
      status: link.get(at.STATUS),
      lines: link.get(at.LINES),
      interrupt: link.get(at.IPI),
      startPc: BigInt.asUintN(64, link.getLong(at.START_PC)),
      startArgument: BigInt.asUintN(64, link.getLong(at.START_ARGUMENT)),
    }));
  }

  set linkStates(states: readonly LinkState[]) {
    for (const [index, state] of states.entries()) {
      const link = this.links[index]!;
      link.set(at.STATUS, state.status);
      link.set(at.START_READY, state.status === at.HartStatus.startPending ? 1 : 0);
      link.set(at.LINES, state.lines);
      link.set(at.IPI, state.interrupt);
      link.setLong(at.START_PC, state.startPc);
      link.setLong(at.START_ARGUMENT, state.startArgument);
      link.set(at.ATTENTION, 1);
    }
  }
}
