import type { Hart } from '../hart/hart.ts';

/** What the firmware can do to the harts of the machine, on behalf of one of them. */
export interface Harts {
  /** Their ids are 0 to `count - 1`. */
  readonly count: number;
  /** Starts a hart that is stopped, at a physical address in S-mode with a1 = `argument`. */
  start(id: number, pc: bigint, argument: bigint): 'started' | 'running';
  /** Stops the calling hart, until another one starts it. False where nobody could. */
  stop(hart: Hart): boolean;
  /** Its number in SBI's table of states. */
  status(id: number): number;
  /** Raises the software interrupt of the harts whose bits are set. */
  interrupt(hart: Hart, mask: number): void;
  /** Has them forget translations, or see code that was written; comes back when they have. */
  fence(hart: Hart, mask: number, code: boolean): void;
}

/** The only hart of its machine. */
export const soleHart: Harts = {
  count: 1,
  start: () => 'running',
  stop: () => false,
  status: () => 0,
  interrupt(hart, mask) {
    if (mask !== 0) hart.raiseSoftware();
  },
  fence(hart, mask, code) {
    if (mask === 0) return;
    if (code) hart.fenceCode();
    else hart.flushTlb();
  },
};

/**
 * The harts that a mask of SBI names, a bit each from hart `base` on (all of them where `base` is all
 * ones). Undefined where it names one that does not exist.
 */
export function selectHarts(mask: bigint, base: bigint, count: number): number | undefined {
  const all = (1n << BigInt(count)) - 1n;
  if (base === ALL) return Number(all);
  if (mask === 0n) return 0;
  if (base >= BigInt(count)) return undefined;
  const selected = mask << base;
  return (selected & ~all) === 0n ? Number(selected) : undefined;
}

/** `hart_mask_base` that means every hart. */
const ALL = (1n << 64n) - 1n;
