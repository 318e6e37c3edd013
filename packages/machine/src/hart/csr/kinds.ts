import type { Pmp } from '../pmp.ts';
import type { HartState } from '../state.ts';

/** What CSRs reach beyond the state block. */
export interface CsrContext {
  readonly state: HartState;
  readonly pmp: Pmp;
  readonly hartId: number;
  /** Instructions executed before the one at hand. */
  executed(): bigint;
  time(): bigint;
  /** Recomputes MIP, and when the next timer fires, after one of their inputs changed. */
  updatePending(): void;
  updateModes(): void;
  flushTlb(): void;
  /** The same of what is not global. */
  flushSpace(): void;
}

export interface Csr {
  readonly name: string;
  read(context: CsrContext): bigint;
  /** Absent where writes are ignored. WARL fields are made legal. */
  write?(context: CsrContext, value: bigint): void;
  /** What csrrs and csrrc start from, where it is not what reads give. */
  readForUpdate?(context: CsrContext): bigint;
  /** Whether an access from `mode` is legal, beyond what the number says. */
  allowed?(context: CsrContext, mode: number): boolean;
}

const ALL = (1n << 64n) - 1n;

export const MODE_M = 3;

export const MODE_U = 0;

/** A plain slot, of which the bits of `mask` can be written. */
export function slot(name: string, offset: number, mask: bigint = ALL): Csr {
  return {
    name,
    read: ({ state }) => state.get(offset),
    write: ({ state }, value) => state.set(offset, merge(state.get(offset), value, mask)),
  };
}

export const merge = (old: bigint, value: bigint, mask: bigint): bigint =>
  (old & ~mask) | (value & mask);

export const constant = (name: string, value: bigint): Csr => ({ name, read: () => value });

/** Modes 0 and 1 of a trap vector; others leave the register as it was. */
export function trapVector(name: string, offset: number): Csr {
  return {
    name,
    read: ({ state }) => state.get(offset),
    write: ({ state }, value) => {
      if ((value & 2n) === 0n) state.set(offset, value);
    },
  };
}
