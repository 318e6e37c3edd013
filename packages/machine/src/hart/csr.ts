import * as at from './layout.ts';
import type { Pmp } from './pmp.ts';
import type { HartState } from './state.ts';
import { status } from './status.ts';

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
const MODE_M = 3;
const MODE_U = 0;

/** A plain slot, of which the bits of `mask` can be written. */
function slot(name: string, offset: number, mask: bigint = ALL): Csr {
  return {
    name,
    read: ({ state }) => state.get(offset),
    write: ({ state }, value) => state.set(offset, merge(state.get(offset), value, mask)),
  };
}

const merge = (old: bigint, value: bigint, mask: bigint): bigint => (old & ~mask) | (value & mask);

const constant = (name: string, value: bigint): Csr => ({ name, read: () => value });

/** Bits 25:0 of misa: A, C, D, F, I, M, S, U. */
const EXTENSIONS = [...'ACDFIMSU'].reduce(
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
const SSTATUS_WRITABLE =
  status.SIE | status.SPIE | status.SPP | status.FS | status.SUM | status.MXR;
const SSTATUS_READABLE = SSTATUS_WRITABLE | status.XS | status.UXL | status.SD;

function readStatus({ state }: CsrContext): bigint {
  const value = state.get(at.MSTATUS);
  return (value & status.FS) === status.FS ? value | status.SD : value;
}

function writeStatus(context: CsrContext, value: bigint, mask: bigint): void {
  const { state } = context;
  const old = state.get(at.MSTATUS);
  const updated = merge(old, value, mask);
  state.set(at.MSTATUS, updated);
  context.updateModes();
  if (((old ^ updated) & status.MXR) !== 0n) context.flushTlb();
}

/** MPP takes U, S and M; the reserved value leaves it as it was. */
function writeMstatus(context: CsrContext, value: bigint): void {
  const legal = (value & status.MPP) !== 2n << 11n;
  writeStatus(context, value, legal ? MSTATUS_WRITABLE | status.MPP : MSTATUS_WRITABLE);
}

const S_INTERRUPTS = 0x222n;
const M_INTERRUPTS = 0xaaan;
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
const sie: Csr = {
  name: 'sie',
  read: ({ state }) => state.get(at.MIE) & state.get(at.MIDELEG),
  write: ({ state }, value) =>
    state.set(at.MIE, merge(state.get(at.MIE), value, state.get(at.MIDELEG) & S_INTERRUPTS)),
};
const sip: Csr = {
  name: 'sip',
  read: ({ state }) => state.get(at.MIP) & state.get(at.MIDELEG),
  write: (context, value) => writePending(context, value, context.state.get(at.MIDELEG) & SOFTWARE),
};
const mip: Csr = {
  name: 'mip',
  read: ({ state }) => state.get(at.MIP),
  write: (context, value) => writePending(context, value, S_INTERRUPTS),
  // A line that is up must not become a bit that software set.
  readForUpdate: ({ state }) => state.get(at.SOFT_PENDING),
};

/** Modes 0 and 1 of a trap vector; others leave the register as it was. */
function trapVector(name: string, offset: number): Csr {
  return {
    name,
    read: ({ state }) => state.get(offset),
    write: ({ state }, value) => {
      if ((value & 2n) === 0n) state.set(offset, value);
    },
  };
}

const satp: Csr = {
  name: 'satp',
  read: ({ state }) => state.get(at.SATP),
  write(context, value) {
    const levels = levelsOf(value);
    if (levels === undefined) return;
    context.state.set(at.SATP, value);
    context.state.setWord(at.LEVELS, levels);
    context.flushTlb();
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
function float(name: string, low: number, width: number): Csr {
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

/** A counter of instructions: what was executed plus an offset, or the offset alone while inhibited. */
function counter(name: string, offset: number, inhibit: bigint): Csr {
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

function readCounter(context: CsrContext, offset: number, inhibit: bigint): bigint {
  const { state } = context;
  const base = state.get(offset);
  if ((state.get(at.MCOUNTINHIBIT) & inhibit) !== 0n) return base;
  return BigInt.asUintN(64, base + context.executed());
}

const CYCLE = 1n;
const INSTRET = 4n;

const mcountinhibit: Csr = {
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
function counterAllowed(index: number): (context: CsrContext, mode: number) => boolean {
  const bit = 1n << BigInt(index);
  return ({ state }, mode) => {
    if (mode === MODE_M) return true;
    if ((state.get(at.MCOUNTEREN) & bit) === 0n) return false;
    return mode !== MODE_U || (state.get(at.SCOUNTEREN) & bit) !== 0n;
  };
}

const time: Csr = {
  name: 'time',
  read: (context) => context.time(),
  allowed: counterAllowed(1),
};

const stimecmp: Csr = {
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

const FIOM = 1n;
const menvcfg: Csr = {
  name: 'menvcfg',
  read: ({ state }) => state.get(at.MENVCFG),
  write(context, value) {
    context.state.set(at.MENVCFG, value & (FIOM | STCE));
    context.updatePending();
  },
};

/** Locked entries stay as they are; W without R is reserved and reads as neither. */
function pmpConfig(name: string, offset: number): Csr {
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

function pmpAddress(index: number): Csr {
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

const table = new Map<number, Csr>([
  [0x001, float('fflags', 0, 5)],
  [0x002, float('frm', 5, 3)],
  [0x003, float('fcsr', 0, 8)],
  [
    0x100,
    {
      name: 'sstatus',
      read: (context) => readStatus(context) & SSTATUS_READABLE,
      write: (context, value) => writeStatus(context, value, SSTATUS_WRITABLE),
    },
  ],
  [0x104, sie],
  [0x105, trapVector('stvec', at.STVEC)],
  [0x106, slot('scounteren', at.SCOUNTEREN, 0xffffffffn)],
  [0x10a, slot('senvcfg', at.SENVCFG, FIOM)],
  [0x140, slot('sscratch', at.SSCRATCH)],
  [0x141, slot('sepc', at.SEPC, ~1n)],
  [0x142, slot('scause', at.SCAUSE)],
  [0x143, slot('stval', at.STVAL)],
  [0x144, sip],
  [0x14d, stimecmp],
  [0x180, satp],
  [0x300, { name: 'mstatus', read: readStatus, write: writeMstatus }],
  [0x301, { name: 'misa', read: () => (2n << 62n) | EXTENSIONS, write: () => {} }],
  [0x302, slot('medeleg', at.MEDELEG, 0xb3ffn)],
  [0x303, slot('mideleg', at.MIDELEG, S_INTERRUPTS)],
  [0x304, slot('mie', at.MIE, M_INTERRUPTS)],
  [0x305, trapVector('mtvec', at.MTVEC)],
  [0x306, slot('mcounteren', at.MCOUNTEREN, 0xffffffffn)],
  [0x30a, menvcfg],
  [0x320, mcountinhibit],
  [0x340, slot('mscratch', at.MSCRATCH)],
  [0x341, slot('mepc', at.MEPC, ~1n)],
  [0x342, slot('mcause', at.MCAUSE)],
  [0x343, slot('mtval', at.MTVAL)],
  [0x344, mip],
  [0x3a0, pmpConfig('pmpcfg0', at.PMPCFG)],
  [0x3a2, pmpConfig('pmpcfg2', at.PMPCFG + 8)],
  [0x7a0, constant('tselect', 0n)],
  [0x7a1, constant('tdata1', 0n)],
  [0x7a2, constant('tdata2', 0n)],
  [0x7a3, constant('tdata3', 0n)],
  [0xb00, counter('mcycle', at.MCYCLE_OFFSET, CYCLE)],
  [0xb02, counter('minstret', at.MINSTRET_OFFSET, INSTRET)],
  [
    0xc00,
    {
      name: 'cycle',
      read: (context) => readCounter(context, at.MCYCLE_OFFSET, CYCLE),
      allowed: counterAllowed(0),
    },
  ],
  [0xc01, time],
  [
    0xc02,
    {
      name: 'instret',
      read: (context) => readCounter(context, at.MINSTRET_OFFSET, INSTRET),
      allowed: counterAllowed(2),
    },
  ],
  [0xf11, constant('mvendorid', 0n)],
  [0xf12, constant('marchid', 0n)],
  [0xf13, constant('mimpid', 0n)],
  [0xf14, { name: 'mhartid', read: ({ hartId }) => BigInt(hartId) }],
  [0xf15, constant('mconfigptr', 0n)],
]);

for (let index = 0; index < 16; index++) {
  table.set(0x3b0 + index, pmpAddress(index));
}
for (let index = 3; index < 32; index++) {
  table.set(0xb00 + index, constant(`mhpmcounter${index}`, 0n));
  table.set(0x320 + index, constant(`mhpmevent${index}`, 0n));
  const read = (): bigint => 0n;
  table.set(0xc00 + index, {
    name: `hpmcounter${index}`,
    read,
    allowed: counterAllowed(index),
  });
}

/** Every CSR by number. */
export const csrs: ReadonlyMap<number, Csr> = table;

const byNumber: (Csr | undefined)[] = Array.from({ length: 4096 }, (_, number) =>
  table.get(number),
);

/** For the interpreter: action 0 writes, 1 sets, 2 clears; value and result in CSR_VALUE. */
export function accessCsr(
  context: CsrContext,
  number: number,
  action: number,
  reads: boolean,
  writes: boolean,
): boolean {
  const { state } = context;
  const mode = state.getWord(at.MODE);
  const csr = byNumber[number];
  if (csr === undefined || ((number >> 8) & 3) > mode) return false;
  if (writes && number >> 10 === 3) return false;
  if (csr.allowed !== undefined && !csr.allowed(context, mode)) return false;
  const source = state.get(at.CSR_VALUE);
  const old = reads ? csr.read(context) : 0n;
  if (writes) {
    const base = action === 0 ? 0n : (csr.readForUpdate?.(context) ?? old);
    const value = action === 2 ? base & ~source : base | source;
    csr.write?.(context, value);
  }
  state.set(at.CSR_VALUE, old);
  return true;
}
