import type { Hart } from '../hart/hart.ts';

/** What a fence of other harts is about. */
export type RemoteFence =
  /** Code that was written. */
  | { readonly kind: 'code' }
  /** Translations: all of them, or those of one address space. */
  | { readonly kind: 'all' | 'space' }
  /** Those of some pages from a virtual address on; `or`: what includes them. */
  | {
      readonly kind: 'pages';
      readonly address: bigint;
      readonly count: number;
      readonly or: 'all' | 'space';
    };

/** Has a hart do a fence. */
export function doFence(hart: Hart, fence: RemoteFence): void {
  switch (fence.kind) {
    case 'code':
      hart.fenceCode();
      break;
    case 'all':
      hart.flushTlb();
      break;
    case 'space':
      hart.flushSpace();
      break;
    case 'pages':
      for (let page = 0; page < fence.count; page++) {
        hart.flushPage(fence.address + PAGE * BigInt(page));
      }
  }
}

const PAGE = 4096n;
/** Pages that are forgotten one by one. */
const FEW = 16n;

/** What SBI's fences of translations mean: `size` bytes from `start` on; all, where it says so, of one address space. */
export function translationFence(start: bigint, size: bigint, or: 'all' | 'space'): RemoteFence {
  const address = start & -PAGE;
  const count = (start - address + size + PAGE - 1n) / PAGE;
  if ((start === 0n && size === 0n) || count > FEW) return { kind: or };
  return { kind: 'pages', address, count: Number(count), or };
}

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
  /** Has them do a fence; comes back when they have. */
  fence(hart: Hart, mask: number, fence: RemoteFence): void;
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
  fence(hart, mask, fence) {
    if (mask !== 0) doFence(hart, fence);
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
