import * as at from '../layout.ts';
import { status } from '../status.ts';
import { type Csr, type CsrContext, MODE_M, merge } from './kinds.ts';

/** Bits 25:0 of misa: A, C, D, F, I, M, S, U. */
export const EXTENSIONS = [...'ACDFIMSU'].reduce(
  (bits, letter) => bits | (1n << BigInt(letter.charCodeAt(0) - 65)),
  0n,
);

const MSTATUS_WRITABLE =
  status.SIE |
  status.MIE |
  status.SPIE |
  status.MPIE |
  status.SPP |
  status.FS |
  status.MPRV |
  status.SUM |
  status.MXR |
  status.TVM |
  status.TW |
  status.TSR;

export const SSTATUS_WRITABLE =
  status.SIE | status.SPIE | status.SPP | status.FS | status.SUM | status.MXR;

export const SSTATUS_READABLE = SSTATUS_WRITABLE | status.XS | status.UXL | status.SD;

export function readStatus({ state }: CsrContext): bigint {
  const value = state.get(at.MSTATUS);
  return (value & status.FS) === status.FS ? value | status.SD : value;
}

export function writeStatus(context: CsrContext, value: bigint, mask: bigint): void {
  const { state } = context;
  const old = state.get(at.MSTATUS);
  const updated = merge(old, value, mask);
  state.set(at.MSTATUS, updated);
  context.updateModes();
  if (((old ^ updated) & status.MXR) !== 0n) context.flushTlb();
}

/** MPP takes U, S and M; the reserved value leaves it as it was. */
export function writeMstatus(context: CsrContext, value: bigint): void {
  const legal = (value & status.MPP) !== 2n << 11n;
  writeStatus(context, value, legal ? MSTATUS_WRITABLE | status.MPP : MSTATUS_WRITABLE);
}

export const satp: Csr = {
  name: 'satp',
  read: ({ state }) => state.get(at.SATP),
  write(context, value) {
    const levels = levelsOf(value);
    if (levels === undefined) return;
    context.state.set(at.SATP, value);
    const sameLevels = levels === context.state.getWord(at.LEVELS);
    context.state.setWord(at.LEVELS, levels);
    if (sameLevels) context.flushSpace();
    else context.flushTlb();
  },
  allowed: ({ state }, mode) => mode === MODE_M || (state.get(at.MSTATUS) & status.TVM) === 0n,
};

/** Levels of the page table by satp.MODE: bare, Sv39, Sv48. A write of another mode has no effect. */
function levelsOf(value: bigint): number | undefined {
  switch (value >> 60n) {
    case 0n:
      return 0;
    case 8n:
      return 3;
    case 9n:
      return 4;
    default:
      return undefined;
  }
}

/** Part of fcsr: `width` bits from `low`. Needs mstatus.FS, and dirties it when written. */
export function float(name: string, low: number, width: number): Csr {
  const mask = ((1 << width) - 1) << low;
  return {
    name,
    read: ({ state }) => BigInt((state.getWord(at.FCSR) & mask) >>> low),
    write: ({ state }, value) => {
      const bits = Number(value & 0xffn) << low;
      state.setWord(at.FCSR, (state.getWord(at.FCSR) & ~mask) | (bits & mask));
      state.set(at.MSTATUS, state.get(at.MSTATUS) | status.FS);
    },
    allowed: ({ state }) => (state.get(at.MSTATUS) & status.FS) !== 0n,
  };
}
