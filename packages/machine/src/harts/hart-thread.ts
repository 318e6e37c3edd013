import { createHart, useHartParts } from '../hart/create.ts';
import { GuestMemory } from '../hart/guest-memory.ts';
import { type Hart, TIMEBASE_HZ } from '../hart/hart.ts';
import { sbiFirmware } from '../platform/sbi.ts';
import { threadTime } from '../run/thread-time.ts';
import { BoardCaller } from './board-caller.ts';
import { ticksSince } from './clock.ts';
import { CodeChannel } from './code-channel.ts';
import { HartLink } from './hart-link.ts';
import type { HartOrder } from './hart-order.ts';
import * as at from './layout.ts';
import { SharedHarts } from './shared-harts.ts';

/** Instructions between two notes of what was executed. */
const ROUND = 5_000_000;
const MS_PER_TICK = 1000 / TIMEBASE_HZ;
/** The longest sleep: what `Atomics.wait` is given must be finite to be a number. */
const LONG_MS = 60_000;

/** Runs a hart in this thread, until the thread is ended from outside. */
export async function runHart(order: HartOrder): Promise<never> {
  const links = Array.from({ length: order.count }, (_, i) => new HartLink(order.ram, i));
  const own = links[order.hart]!;
  try {
    const hart = await makeHart(order, links);
    own.set(at.READY, 1);
    links[0]!.ring();
    return hart.run();
  } catch (error) {
    // Nobody is to wait for this hart.
    own.isAsleep = true;
    own.set(at.PAUSED, 1);
    own.set(at.READY, 1);
    for (const link of links) link.ring();
    throw error;
  }
}

async function makeHart(order: HartOrder, links: readonly HartLink[]): Promise<HartThread> {
  const { jit } = order;
  await useHartParts(order.parts, { compiles: jit !== undefined, shared: true });
  const harts = new SharedHarts(links, order.hart, (hart) => pauseIfAsked(hart, harts));
  const caller = new BoardCaller(harts, links[0]!);
  const bring = (page: number) => caller.bringPage(page);
  const memory = new GuestMemory(order.ramSize, undefined, {
    memory: order.ram,
    ...(order.backed && { bring }),
  });
  const firmware = sbiFirmware({
    memory,
    harts,
    console: (bytes) => caller.print(bytes),
    shutdown: () => caller.shutdown(),
    reset: (failed) => caller.reset(failed),
  });
  const exchange = jit && CodeChannel.open(links, order.hart, order.ram);
  exchange?.connect(order.codePorts);
  const hart = await createHart({
    memory,
    bus: caller.bus(),
    hartId: order.hart,
    clock: { kind: 'real', now: () => ticksSince(order.origin) },
    firmware,
    attention: harts,
    ...(jit && { jit }),
    ...(exchange && { exchange }),
  });
  caller.hart = hart;
  if (order.savedBytes > 0) {
    hart.restoreState(harts.own.data(order.savedBytes).slice());
    harts.takeLines(hart);
  }
  return new HartThread(hart, harts);
}

/** Stands still where the owner wants to see all harts so, with the state for it to read. */
function pauseIfAsked(hart: Hart, harts: SharedHarts): void {
  const { own } = harts;
  // Asked again before it went on, the owner took it for standing still as before.
  while (own.get(at.PAUSE) !== 0) {
    const state = hart.saveState();
    own.data(state.length).set(state);
    own.set(at.PAUSED, 1);
    harts.board.ring();
    harts.waitUntil(hart, () => own.get(at.PAUSE) === 0);
    own.set(at.PAUSED, 0);
  }
}

class HartThread {
  readonly #hart: Hart;
  readonly #harts: SharedHarts;
  #busy = 0;

  constructor(hart: Hart, harts: SharedHarts) {
    this.#hart = hart;
    this.#harts = harts;
  }

  run(): never {
    const hart = this.#hart;
    const { own } = this.#harts;
    // It was taken for one that sleeps until it was here.
    own.isAsleep = false;
    for (;;) {
      while (!this.#harts.enter(hart)) this.#sleep(() => false);
      const started = threadTime();
      const exit = hart.run(ROUND);
      this.#busy += threadTime() - started;
      own.setDouble(at.INSTRUCTIONS, hart.instret);
      own.setDouble(at.BUSY, this.#busy);
      if (exit === 'wfi') {
        while (!hart.interruptPending) this.#sleep(() => hart.interruptPending);
      }
    }
  }

  /** Until the bell rings or a timer fires; looks up before it comes back. */
  #sleep(awake: () => boolean): void {
    const hart = this.#hart;
    const { own } = this.#harts;
    const { bell } = own;
    // In this order: a timer that comes in between is found pending, not slept through.
    const limit = this.#untilTimer();
    own.isAsleep = true;
    if (own.get(at.ATTENTION) === 0 && !awake()) own.wait(bell, limit);
    own.isAsleep = false;
    if (this.#harts.asked()) this.#harts.lookUp(hart);
  }

  #untilTimer(): number {
    if (this.#harts.isStopped) return LONG_MS;
    const timer = this.#hart.nextTimer();
    if (timer === undefined) return LONG_MS;
    return Math.min(LONG_MS, Math.max(0, (timer - Number(this.#hart.time)) * MS_PER_TICK));
  }
}
