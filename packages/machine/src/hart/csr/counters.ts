import * as at from '../layout.ts';
import { type Csr, type CsrContext, MODE_M, MODE_U } from './kinds.ts';

export const CYCLE = 1n;

export const INSTRET = 4n;

/** A counter of instructions: what was executed plus an offset, or the offset alone while inhibited. */
export function counter(name: string, offset: number, inhibit: bigint): Csr {
  return {
    name,
    read: (context) => readCounter(context, offset, inhibit),
    write(context, value) {
      const { state } = context;
      const stopped = (state.get(at.MCOUNTINHIBIT) & inhibit) !== 0n;
      // The write replaces the increment of its own instruction.
      state.set(offset, BigInt.asUintN(64, stopped ? value : value - context.executed() - 1n));
    },
  };
}

export function readCounter(context: CsrContext, offset: number, inhibit: bigint): bigint {
  const { state } = context;
  const base = state.get(offset);
  if ((state.get(at.MCOUNTINHIBIT) & inhibit) !== 0n) return base;
  return BigInt.asUintN(64, base + context.executed());
}

export const mcountinhibit: Csr = {
  name: 'mcountinhibit',
  read: ({ state }) => state.get(at.MCOUNTINHIBIT),
  write(context, value) {
    const { state } = context;
    const old = state.get(at.MCOUNTINHIBIT);
    const now = context.executed() + 1n;
    for (const [bit, offset] of [
      [CYCLE, at.MCYCLE_OFFSET],
      [INSTRET, at.MINSTRET_OFFSET],
    ] as const) {
      const turn = ((value ^ old) & bit) !== 0n;
      const change = (value & bit) !== 0n ? now : -now;
      if (turn) state.set(offset, BigInt.asUintN(64, state.get(offset) + change));
    }
    state.set(at.MCOUNTINHIBIT, value & (CYCLE | INSTRET));
  },
};

/** Whether mcounteren and scounteren let `mode` see counter `index`. */
export function counterAllowed(index: number): (context: CsrContext, mode: number) => boolean {
  const bit = 1n << BigInt(index);
  return ({ state }, mode) => {
    if (mode === MODE_M) return true;
    if ((state.get(at.MCOUNTEREN) & bit) === 0n) return false;
    return mode !== MODE_U || (state.get(at.SCOUNTEREN) & bit) !== 0n;
  };
}

export const time: Csr = {
  name: 'time',
  read: (context) => context.time(),
  allowed: counterAllowed(1),
};
