import * as at from '../layout.ts';
import {
  CYCLE,
  counter,
  counterAllowed,
  INSTRET,
  mcountinhibit,
  readCounter,
  time,
} from './counters.ts';
import {
  FIOM,
  M_INTERRUPTS,
  menvcfg,
  mip,
  S_INTERRUPTS,
  sie,
  sip,
  stimecmp,
} from './interrupts.ts';
import { type Csr, type CsrContext, constant, slot, trapVector } from './kinds.ts';
import { pmpAddress, pmpConfig } from './protection.ts';
import {
  EXTENSIONS,
  float,
  readStatus,
  SSTATUS_READABLE,
  SSTATUS_WRITABLE,
  satp,
  writeMstatus,
  writeStatus,
} from './status.ts';

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
