import * as at from '../layout.ts';
import { type Csr, type CsrContext, MODE_M, merge } from './kinds.ts';

export const S_INTERRUPTS = 0x222n;

export const M_INTERRUPTS = 0xaaan;

const SOFTWARE = 1n << 1n;

const TIMER = 1n << 5n;

const STCE = 1n << 63n;

function writePending(context: CsrContext, value: bigint, mask: bigint): void {
  const { state } = context;
  const withTimer = (state.get(at.MENVCFG) & STCE) === 0n ? mask : mask & ~TIMER;
  state.set(at.SOFT_PENDING, merge(state.get(at.SOFT_PENDING), value, withTimer));
  context.updatePending();
}

/** sie and sip: the delegated bits of mie and mip. */
export const sie: Csr = {
  name: 'sie',
  read: ({ state }) => state.get(at.MIE) & state.get(at.MIDELEG),
  write: ({ state }, value) =>
    state.set(at.MIE, merge(state.get(at.MIE), value, state.get(at.MIDELEG) & S_INTERRUPTS)),
};

export const sip: Csr = {
  name: 'sip',
  read: ({ state }) => state.get(at.MIP) & state.get(at.MIDELEG),
  write: (context, value) => writePending(context, value, context.state.get(at.MIDELEG) & SOFTWARE),
};

export const mip: Csr = {
  name: 'mip',
  read: ({ state }) => state.get(at.MIP),
  write: (context, value) => writePending(context, value, S_INTERRUPTS),
  // A line that is up must not become a bit that software set.
  readForUpdate: ({ state }) => state.get(at.SOFT_PENDING),
};

export const stimecmp: Csr = {
  name: 'stimecmp',
  read: ({ state }) => state.get(at.STIMECMP),
  write(context, value) {
    context.state.set(at.STIMECMP, value);
    context.updatePending();
  },
  allowed: ({ state }, mode) =>
    mode === MODE_M ||
    ((state.get(at.MCOUNTEREN) & 2n) !== 0n && (state.get(at.MENVCFG) & STCE) !== 0n),
};

export const FIOM = 1n;

export const menvcfg: Csr = {
  name: 'menvcfg',
  read: ({ state }) => state.get(at.MENVCFG),
  write(context, value) {
    context.state.set(at.MENVCFG, value & (FIOM | STCE));
    context.updatePending();
  },
};
