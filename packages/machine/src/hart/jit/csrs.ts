import {
  brIf,
  type Code,
  get,
  i32,
  type Label,
  type Local,
  op,
  set,
  when,
} from '@anole/bytes/wasm';
import type { CsrAction } from '../../isa/ir.ts';
import { mergeSstatus, plainCsrs, readSstatus } from '../interpreter/quick-csrs.ts';
import {
  add32,
  and32,
  and64,
  isSet64,
  setSlot32,
  setSlot64,
  shr64,
  slot32,
  slot64,
  wrap,
} from '../interpreter/slots.ts';
import { dataTable } from '../interpreter/tlb-access.ts';
import { DATA_MODE, MIE, MIP, MODE, MSTATUS, SEPC, TlbMode } from '../layout.ts';
import { status } from '../status.ts';

const SSTATUS = 0x100;
const SEPC_NUMBER = 0x141;

/** Numbers of the CSRs that compiled code reads and writes: those of each trap of a kernel. */
export const compiledCsrs: ReadonlySet<number> = new Set([
  SSTATUS,
  SEPC_NUMBER,
  ...plainCsrs.keys(),
]);

export interface CsrAccess {
  readonly number: number;
  readonly action: CsrAction;
  readonly writes: boolean;
  /** What it works with. */
  readonly source: Code;
}

export interface CsrContext {
  /** Two locals of i64 to work with. */
  readonly old: Local;
  readonly value: Local;
  /** Table for loads, see `TlbContext`. */
  readonly data: Local;
  /** To the interpreter, which executes the whole instruction. */
  readonly leave: Label;
  /** Leaves behind the instruction, for an interrupt that may be due. */
  interrupt(): Code;
  /** Writes rd. */
  setResult(value: Code): Code;
}

/** An access to one of {@link compiledCsrs}. Needs S or M, which it looks at. */
export function accessCsr(access: CsrAccess, context: CsrContext): Code {
  const { old, value, leave, setResult } = context;
  const isStatus = access.number === SSTATUS;
  const slot = access.number === SEPC_NUMBER ? SEPC : plainCsrs.get(access.number)!;
  return [
    brIf(op('i32.eqz', slot32(MODE)), leave),
    set(value, access.source),
    set(old, isStatus ? readSstatus : slot64(slot)),
    access.writes ? set(value, updated(access.action, old, value)) : [],
    access.writes && isStatus ? [checkStatus(value, leave), setResult(get(old))] : [],
    access.writes ? (isStatus ? writeStatus(context) : writePlain(slot, value)) : [],
    access.writes && isStatus ? [] : setResult(get(old)),
  ];
}

function updated(action: CsrAction, old: Local, value: Local): Code {
  if (action === 'write') return get(value);
  if (action === 'set') return op('i64.or', get(old), get(value));
  return op('i64.and', get(old), op('i64.xor', get(value), op('i64.extend_i32_s', i32(-1))));
}

const writePlain = (slot: number, value: Local): Code =>
  setSlot64(slot, slot === SEPC ? and64(get(value), ~1n) : get(value));

/** What compiled code has looked at beforehand is not to change under it; M is rare. */
function checkStatus(value: Local, leave: Label): Code {
  return [
    brIf(op('i32.ne', slot32(MODE), i32(1)), leave),
    set(value, mergeSstatus(get(value))),
    brIf(isSet64(op('i64.xor', get(value), slot64(MSTATUS)), status.MXR | status.FS), leave),
  ];
}

function writeStatus({ value, data, interrupt }: CsrContext): Code {
  const sum = and32(wrap(shr64(get(value), 18)), 1);
  const isWaiting = op(
    'i64.ne',
    op('i64.and', slot64(MIP), slot64(MIE)),
    op('i64.extend_i32_s', i32(0)),
  );
  return [
    setSlot64(MSTATUS, get(value)),
    setSlot32(DATA_MODE, add32(i32(TlbMode.supervisor), sum)),
    set(data, dataTable),
    when(op('i32.and', isSet64(get(value), status.SIE), isWaiting), interrupt()),
  ];
}
