import { TIMEBASE_HZ } from '../hart/hart.ts';
import type { Board } from '../platform/board.ts';
import { HostLoop } from './host-loop.ts';

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
/** A timer of the host is no finer than this; shorter waits are made of turns of its loop. */
const TIMER_MS = 1;

export interface RunStatistics {
  /** Instructions retired. */
  readonly instructions: number;
  /** Milliseconds the hart was running, sleep excluded. */
  readonly busy: number;
}

/**
 * Runs a board's hart in slices, letting the host's event loop turn between them, and sleeps while
 * the guest waits for an interrupt.
 */
export class Runner {
  readonly #board: Board;
  readonly #options: RunnerOptions;
  /** There while running: it would keep a process alive. */
  #loop: HostLoop | undefined;
  #busy = 0;
  /** Called between slices, while set; `idle`: the guest waits for an interrupt. */
  inspect: ((idle: boolean) => void) | undefined;

  constructor(board: Board, options: RunnerOptions) {
    this.#board = board;
    this.#options = options;
  }

  get statistics(): RunStatistics {
    return { instructions: this.#board.hart.instret, busy: this.#busy };
  }

  /** Ends a sleep: something happened that the guest should see. */
  wake(): void {
    this.#loop?.wake();
  }

  async run(): Promise<void> {
    const { hart, rtc } = this.#board;
    const { ended, sliceLimit } = this.#options;
    const loop = new HostLoop();
    this.#loop = loop;
    let turned = performance.now();
    try {
      while (!ended()) {
        const started = performance.now();
        const exit = hart.run(Math.min(SLICE, sliceLimit?.() ?? SLICE));
        const stopped = performance.now();
        this.#busy += stopped - started;
        rtc.poll();
        // In this order: a timer that comes in between is found pending, not missed for good.
        const timer = hart.nextTimer();
        const idle = exit === 'wfi' && !hart.interruptPending;
        this.inspect?.(idle);
        if (!idle && stopped - turned < TURN_MS) continue;
        if (ended()) return;
        await (idle ? this.#idle(loop, timer) : loop.yield());
        turned = performance.now();
      }
    } finally {
      loop.close();
      this.#loop = undefined;
    }
  }

  async #idle(loop: HostLoop, timer: number | undefined): Promise<void> {
    const { hart, rtc } = this.#board;
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
    const waits = [untilTimer, rtc.untilAlarm].filter((wait) => wait !== undefined);
    if (waits.length === 0) await this.#sleepUntilWoken(loop);
    else if (Math.min(...waits) < TIMER_MS) await loop.yield();
    else await loop.sleep(Math.min(...waits));
  }

  async #sleepUntilWoken(loop: HostLoop): Promise<void> {
    const { onStuck } = this.#options;
    if (onStuck !== undefined) onStuck();
    else await loop.sleep(undefined);
  }
}
