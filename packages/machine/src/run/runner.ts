import { type RunExit, TIMEBASE_HZ } from '../hart/hart.ts';
import type { Board } from '../platform/board.ts';
import { Governor } from './governor.ts';
import { HostLoop } from './host-loop.ts';
import { threadTime } from './thread-time.ts';

export interface RunnerOptions {
  readonly clock: 'real' | 'instructions';
  /** Called between slices; true ends the run. */
  readonly ended: () => boolean;
  /**
   * Called when the guest waits for an interrupt that no timer will bring. Default: sleep until a
   * device has something.
   */
  readonly onStuck?: () => void;
  /** The most instructions of the next slice; asked for before each. */
  readonly sliceLimit?: () => number;
}

/** Instructions between two looks at what ends a run: a millisecond or less. */
const SLICE = 100_000;
/** How long the host's event loop may have to wait. */
const TURN_MS = 2;
/** How often harts are looked after that run while the first one waits. */
const LOOK_MS = 20;
/** A timer of the host is no finer than this; shorter waits are made of turns of its loop. */
const TIMER_MS = 1;

export interface RunStatistics {
  /** Instructions retired. */
  readonly instructions: number;
  /** Milliseconds of a processor that the harts took, and what compiles for them, added up. */
  readonly busy: number;
  /** Milliseconds it was kept from running by its share of time. */
  readonly throttled: number;
}

/**
 * Runs a board's hart 0 in slices, letting the host's event loop turn between them, and sleeps while
 * it waits for an interrupt. Other harts run in their own threads meanwhile.
 */
export class Runner {
  readonly #board: Board;
  readonly #options: RunnerOptions;
  /** There while running: it would keep a process alive. */
  #loop: HostLoop | undefined;
  #busy = 0;
  readonly governor = new Governor();
  /**
   * The tick for which the host slept last. Its timers end up to a millisecond early: turning its loop
   * for the rest took an idle guest most of its time, and a guest that waits for longer than that does
   * not miss a millisecond.
   */
  #sleptFor: number | undefined;
  /** Called between slices, while set; `idle`: the guest waits for an interrupt. */
  inspect: ((idle: boolean) => void) | undefined;

  constructor(board: Board, options: RunnerOptions) {
    this.#board = board;
    this.#options = options;
  }

  get statistics(): RunStatistics {
    const others = this.#board.crew?.statistics ?? { instructions: 0, busy: 0 };
    return {
      instructions: this.#board.hart.instret + others.instructions,
      busy: this.#busy + this.#board.hart.compiling + others.busy,
      throttled: this.governor.throttled,
    };
  }

  /** Ends a sleep: something happened that the guest should see. */
  wake(): void {
    this.#loop?.wake();
  }

  async run(): Promise<void> {
    const { hart, rtc, crew } = this.#board;
    const { ended } = this.#options;
    const loop = new HostLoop();
    this.#loop = loop;
    let turned = performance.now();
    // Once a turn: the host takes longer to tell it than a short slice.
    let began = threadTime();
    let idle = false;
    try {
      while (!ended()) {
        const bell = crew?.bell ?? 0;
        const waits: boolean = crew?.staysWaiting(hart, idle) ?? false;
        const exit: RunExit = waits ? 'wfi' : hart.run(this.#slice);
        rtc.poll();
        // In this order: a timer that comes in between is found pending, not missed for good.
        const timer = crew?.harts.isStopped ? undefined : hart.nextTimer();
        idle = exit === 'wfi' && (crew?.harts.isStopped || !hart.interruptPending);
        this.inspect?.(idle);
        if (!idle && performance.now() - turned < TURN_MS) continue;
        this.#busy += threadTime() - began;
        if (ended()) return;
        await this.#turn(loop, idle, timer, bell);
        if (this.governor.rest(this.statistics.busy) > 0) await this.#hold(loop, idle);
        turned = performance.now();
        began = threadTime();
      }
    } finally {
      loop.close();
      this.#loop = undefined;
    }
  }

  /** Instructions until the host has a look. */
  get #slice(): number {
    return Math.min(SLICE, this.#options.sliceLimit?.() ?? SLICE);
  }

  /** Lets the host's event loop turn. `bell`: as it was before others were last looked after. */
  async #turn(loop: HostLoop, idle: boolean, timer: number | undefined, bell: number) {
    const { crew } = this.#board;
    if (crew !== undefined) crew.resting = true;
    const rung = idle && crew?.listen(bell, () => loop.wake());
    await (idle && !rung ? this.#idle(loop, timer) : loop.yield());
    if (crew !== undefined) crew.resting = false;
  }

  /** Has all harts rest. */
  async #hold(loop: HostLoop, idle: boolean): Promise<void> {
    const { crew, hart } = this.#board;
    const { ended } = this.#options;
    crew?.pause(hart);
    const { busy } = this.statistics;
    await this.governor.hold(loop, busy, ended, () => {
      this.inspect?.(idle);
      // Who looked at them let them go on.
      crew?.pause(hart);
    });
    crew?.resume();
  }

  async #idle(loop: HostLoop, timer: number | undefined): Promise<void> {
    const { hart, rtc, crew } = this.#board;
    if (this.#options.clock === 'instructions') {
      // What the host has ready comes first; then time jumps to when something happens.
      await loop.yield();
      if (hart.interruptPending || this.#options.ended()) return;
      if (timer !== undefined) hart.skipTime(BigInt(timer));
      else await this.#sleepUntilWoken(loop);
      return;
    }
    const untilTimer =
      timer === undefined ? undefined : ((timer - Number(hart.time)) * 1000) / TIMEBASE_HZ;
    // While this hart waits, others may be ahead of their share.
    const look = crew !== undefined && this.governor.share !== undefined ? LOOK_MS : undefined;
    const waits = [untilTimer, rtc.untilAlarm, look].filter((wait) => wait !== undefined);
    const wait = Math.min(...waits);
    if (waits.length === 0) await this.#sleepUntilWoken(loop);
    else if (wait < TIMER_MS && timer !== this.#sleptFor) await loop.yield();
    else {
      this.#sleptFor = timer;
      await loop.sleep(Math.max(TIMER_MS, wait));
    }
  }

  async #sleepUntilWoken(loop: HostLoop): Promise<void> {
    const { onStuck } = this.#options;
    if (onStuck !== undefined) onStuck();
    else await loop.sleep(undefined);
  }
}
