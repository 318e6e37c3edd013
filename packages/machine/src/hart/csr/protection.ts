import * as at from '../layout.ts';
import type { Csr } from './kinds.ts';

/** Locked entries stay as they are; W without R is reserved and reads as neither. */
export function pmpConfig(name: string, offset: number): Csr {
  return {
    name,
    read: ({ state }) => state.get(offset),
    write: (context, value) => {
      const { state } = context;
      let updated = 0n;
      for (let shift = 0n; shift < 64n; shift += 8n) {
        const old = (state.get(offset) >> shift) & 0xffn;
        const wanted = (value >> shift) & 0x9fn;
        const locked = (old & 0x80n) !== 0n;
        const reserved = (wanted & 3n) === 2n;
        updated |= (locked ? old : reserved ? wanted & ~2n : wanted) << shift;
      }
      state.set(offset, updated);
      context.pmp.update();
      context.flushTlb();
    },
  };
}

export function pmpAddress(index: number): Csr {
  const offset = at.PMPADDR + index * 8;
  return {
    name: `pmpaddr${index}`,
    read: ({ state }) => state.get(offset),
    write: (context, value) => {
      if (context.pmp.isAddressLocked(index)) return;
      context.state.set(offset, value & ((1n << 54n) - 1n));
      context.pmp.update();
      context.flushTlb();
    },
  };
}
