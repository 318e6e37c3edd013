import { TIMEBASE_HZ } from '../hart/hart.ts';

const TICKS_PER_MS = TIMEBASE_HZ / 1000;

/**
 * A monotonic clock of which all threads of the process see the same: milliseconds, from any origin.
 * Where only the clock of browsers is there, threads may differ by its granularity.
 */
export const sharedNow: () => number =
  typeof process === 'undefined' || process.hrtime === undefined
    ? () => performance.timeOrigin + performance.now()
    : () => Number(process.hrtime.bigint()) / 1e6;

/** Ticks since `origin`, a moment of {@link sharedNow}. */
export const ticksSince = (origin: number): number =>
  Math.floor((sharedNow() - origin) * TICKS_PER_MS);
