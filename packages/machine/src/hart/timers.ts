import type { Clock } from './hart.ts';
import * as at from './layout.ts';
import type { HartState } from './state.ts';
import { STCE } from './supervisor.ts';

/** Instructions between two looks at the clock, 100 to 300 us. */
const SLICE = 20_000;
/** The same where most of them are compiled. */
const COMPILED_SLICE = 60_000;
/** A comparator that is not armed. */
export const NEVER = (1n << 64n) - 1n;
const STIP = 1n << 5n;
const MTIP = 1n << 7n;

export interface TimersContext {
  readonly state: HartState;
  readonly clock: Clock;
  /** Instructions retired. */
  instret(): number;
  /** Makes the interpreter come back after the instruction at hand. */
  endSlice(): void;
}

/** Time of a hart, its comparators, and what of `mip` follows from them. */
export class Timers {
  readonly #context: TimersContext;
  readonly #perTick: number;
  /** What the `instructions` clock was moved forward by. */
  skippedTicks = 0n;
  /** Tick at which MIP must be looked at again. */
  #nextTick = Number.POSITIVE_INFINITY;

  constructor(context: TimersContext) {
    const { clock } = context;
    this.#context = context;
    this.#perTick = clock.kind === 'instructions' ? (clock.instructionsPerTick ?? 10) : 1;
  }

  /** With a fraction where the host's clock has one. */
  get ticks(): number {
    const { clock, instret } = this.#context;
    if (clock.kind === 'real') return clock.now();
    return Math.floor(instret() / this.#perTick) + Number(this.skippedTicks);
  }

  get time(): bigint {
    return BigInt(Math.floor(this.ticks));
  }

  /** Whether one fires that MIP does not show yet. */
  get isDue(): boolean {
    return this.ticks >= this.#nextTick;
  }

  /** See `Hart.skipTime`. */
  skipTo(ticks: bigint): void {
    if (this.#context.clock.kind !== 'instructions') return;
    const missing = ticks - this.time;
    if (missing > 0n) this.skippedTicks += missing;
    this.updatePending();
  }

  /** See `Hart.nextTimer`. */
  next(): number | undefined {
    const now = this.time;
    const armed = this.#comparators().filter((each) => each.at !== NEVER && each.at > now);
    return armed.length === 0 ? undefined : Math.min(...armed.map((each) => Number(each.at)));
  }

  /** Instructions until the clock is looked at. A slice ends where a timer of the `instructions` clock fires. */
  sliceLength(compiles: boolean): number {
    const { clock, instret } = this.#context;
    if (clock.kind === 'real') return compiles ? COMPILED_SLICE : SLICE;
    const ticks = this.#nextTick - Number(this.skippedTicks);
    const until = ticks * this.#perTick - instret();
    return until > 0 && until < SLICE ? until : SLICE;
  }

  /** Writes MIP: lines, soft bits and comparators together. */
  updatePending(): void {
    const { state, endSlice } = this.#context;
    const soft = state.get(at.SOFT_PENDING);
    const supervisorTimer = (state.get(at.MENVCFG) & STCE) !== 0n;
    let pending = state.get(at.LINES) | (supervisorTimer ? soft & ~STIP : soft);
    const now = this.time;
    let next = NEVER;
    for (const comparator of this.#comparators()) {
      if (comparator.at <= now) pending |= comparator.bit;
      else if (comparator.at < next) next = comparator.at;
    }
    state.set(at.MIP, pending);
    this.#nextTick = next === NEVER ? Number.POSITIVE_INFINITY : Number(next);
    // The slice was measured by the old timers.
    endSlice();
  }

  /** Those that are enabled: when they fire, and the bit of mip that follows. */
  #comparators(): readonly { readonly at: bigint; readonly bit: bigint }[] {
    const { state } = this.#context;
    const machine = { at: state.get(at.MTIMECMP), bit: MTIP };
    if ((state.get(at.MENVCFG) & STCE) === 0n) return [machine];
    return [machine, { at: state.get(at.STIMECMP), bit: STIP }];
  }
}
