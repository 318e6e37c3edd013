import type { Attention, Hart } from '../hart/hart.ts';
import { Interrupt } from '../hart/hart.ts';
import { doFence, type Harts, type RemoteFence } from '../platform/sbi-harts.ts';
import { AskedFence } from './asked-fence.ts';
import type { HartLink } from './hart-link.ts';
import * as at from './layout.ts';

/** Lines that devices hold, by their numbers in mip. */
const deviceLines = [
  Interrupt.machineSoftware,
  Interrupt.machineExternal,
  Interrupt.supervisorExternal,
] as const;

/**
 * The harts of a machine as one of them sees the others, from its own thread: what the firmware does
 * for it, and what it does when others ask it to look up.
 */
export class SharedHarts implements Harts, Attention {
  readonly count: number;
  readonly own: HartLink;
  readonly #links: readonly HartLink[];
  readonly #extra: (hart: Hart) => void;
  /** Levels of lines as the hart knows them. */
  #lines = 0;
  /** Turns of the links, and writes of devices, when they were last looked at. */
  #turns: readonly number[] = [];

  /** @param extra what else is to be done when the hart looks up */
  constructor(links: readonly HartLink[], self: number, extra: (hart: Hart) => void) {
    this.count = links.length;
    this.own = links[self]!;
    this.#links = links;
    this.#extra = extra;
  }

  /** The link of the hart whose thread has the devices. */
  get board(): HartLink {
    return this.#links[0]!;
  }

  get isStopped(): boolean {
    return this.own.get(at.STATUS) !== at.HartStatus.started;
  }

  get place(): number {
    return this.own.place;
  }

  asked(): boolean {
    return this.own.get(at.ATTENTION) !== 0 && this.own.exchange(at.ATTENTION, 0) !== 0;
  }

  lookUp(hart: Hart): void {
    this.#serveFences(hart);
    if (this.own.exchange(at.IPI, 0) !== 0) hart.raiseSoftware();
    if (this.own.get(at.LINES) !== this.#lines) this.takeLines(hart);
    this.#extra(hart);
  }

  mayHaveWritten(): boolean {
    const turns = [...this.#links.map((link) => link.turns), this.board.get(at.DEVICE_WRITES)];
    const { index: self } = this.own;
    const wrote = turns.some(
      (turn, index) =>
        index !== self && (turn !== this.#turns[index] || (index < this.count && (turn & 1) === 1)),
    );
    this.#turns = turns;
    return wrote;
  }

  /** Sets the hart's lines to what devices hold. */
  takeLines(hart: Hart): void {
    const lines = this.own.get(at.LINES);
    for (const cause of deviceLines) hart.setInterrupt(cause, ((lines >> cause) & 1) === 1);
    this.#lines = lines;
  }

  /** Waits until `reached`, doing fences that others ask for meanwhile: they may wait for this hart. */
  waitUntil(hart: Hart, reached: () => boolean): void {
    for (;;) {
      const bell = this.own.bell;
      this.#serveFences(hart);
      if (reached()) return;
      this.own.wait(bell);
    }
  }

  start(id: number, pc: bigint, argument: bigint): 'started' | 'running' {
    const link = this.#links[id]!;
    if (!link.change(at.STATUS, at.HartStatus.stopped, at.HartStatus.startPending))
      return 'running';
    link.setLong(at.START_PC, pc);
    link.setLong(at.START_ARGUMENT, argument);
    link.set(at.START_READY, 1);
    link.ask();
    return 'started';
  }

  stop(hart: Hart): boolean {
    this.own.set(at.STATUS, at.HartStatus.stopped);
    hart.requestStop();
    return true;
  }

  status(id: number): number {
    return this.#links[id]!.get(at.STATUS);
  }

  interrupt(hart: Hart, mask: number): void {
    for (const link of this.#selected(mask)) {
      if (link === this.own) hart.raiseSoftware();
      else link.sendInterrupt();
    }
  }

  fence(hart: Hart, mask: number, fence: RemoteFence): void {
    const { own } = this;
    if (fence.kind === 'pages') own.namePages(fence.address, fence.count);
    const asked: AskedFence[] = [];
    for (const link of this.#selected(mask)) {
      if (link === own) doFence(hart, fence);
      else asked.push(new AskedFence(link, fence, own.index));
    }
    if (asked.length > 0) this.waitUntil(hart, () => asked.every((each) => each.isDone()));
    if (fence.kind === 'pages') own.namePages(0n, 0);
  }

  /** Starts a hart whose start was asked for. Whether it runs. */
  enter(hart: Hart): boolean {
    const { own } = this;
    if (own.get(at.STATUS) === at.HartStatus.started) return true;
    if (own.exchange(at.START_READY, 0) === 0) return false;
    hart.reset({
      pc: own.getLong(at.START_PC),
      a0: BigInt(own.index),
      a1: own.getLong(at.START_ARGUMENT),
      mode: 'S',
    });
    own.set(at.STATUS, at.HartStatus.started);
    return true;
  }

  #serveFences(hart: Hart): void {
    this.own.serveFences((kind) => this.#doFence(hart, kind), this.#links);
  }

  #doFence(hart: Hart, kind: at.Fence): void {
    if (kind === at.Fence.all) hart.flushTlb();
    else if (kind === at.Fence.space) hart.flushSpace();
    else if (kind === at.Fence.code) hart.fenceCode();
    // Whoever asked waits, and names its pages until they are done.
    else for (const link of this.#links) doFence(hart, link.namedPages);
  }

  #selected(mask: number): readonly HartLink[] {
    return this.#links.filter(({ index }) => ((mask >> index) & 1) === 1);
  }
}
