import {
  block,
  brIf,
  type Code,
  call,
  choose,
  get,
  i32,
  i64,
  type Local,
  label,
  op,
  ret,
  set,
  when,
} from '@anole/bytes/wasm';
import { S_INTERRUPTS } from '../csr/interrupts.ts';
import { SSTATUS_READABLE, SSTATUS_WRITABLE } from '../csr/status.ts';
import {
  CSR_VALUE,
  FCSR,
  MCOUNTEREN,
  MIDELEG,
  MIE,
  MODE,
  MSTATUS,
  SCAUSE,
  SCOUNTEREN,
  SEPC,
  SSCRATCH,
  STVAL,
} from '../layout.ts';
import { status } from '../status.ts';
import type { Define, Helpers } from './helpers.ts';
import {
  and32,
  and64,
  extend,
  isSet64,
  or64,
  setSlot32,
  setSlot64,
  slot32,
  slot64,
  wrap,
} from './slots.ts';

/** CSRs that a kernel uses at each trap, without the host: what `../csr/table.ts` says of them. */
interface QuickCsr {
  readonly read: Code;
  readonly write?: (value: Local) => Code;
  /** Whether the host is to decide, beyond what the number says. */
  readonly unless?: Code;
}

const plain = (slot: number): QuickCsr => ({
  read: slot64(slot),
  write: (value) => setSlot64(slot, get(value)),
});

/** Slots of plain CSRs that compiled code accesses by itself, by their numbers. */
export const plainCsrs: ReadonlyMap<number, number> = new Map([
  [0x140, SSCRATCH],
  [0x142, SCAUSE],
  [0x143, STVAL],
]);

/** mstatus as sstatus shows it. */
export const readSstatus: Code = or64(
  and64(slot64(MSTATUS), SSTATUS_READABLE),
  choose(
    'i64',
    op('i64.eq', and64(slot64(MSTATUS), status.FS), i64(status.FS)),
    i64(status.SD),
    i64(0),
  ),
);

/** mstatus with the bits of sstatus that `value` gives. */
export const mergeSstatus = (value: Code): Code =>
  or64(and64(slot64(MSTATUS), ~SSTATUS_WRITABLE), and64(value, SSTATUS_WRITABLE));

function quickCsrs(helpers: Helpers, spare: Local): ReadonlyMap<number, QuickCsr> {
  const changed = (bits: bigint): Code => isSet64(op('i64.xor', get(spare), slot64(MSTATUS)), bits);
  return new Map<number, QuickCsr>([
    [0x001, float(0, 0x1f)],
    [0x002, float(5, 0x7)],
    [0x003, float(0, 0xff)],
    [
      0x100,
      {
        read: readSstatus,
        write: (value) => [
          set(spare, slot64(MSTATUS)),
          setSlot64(MSTATUS, mergeSstatus(get(value))),
          call(helpers.updateModes),
          when(changed(status.MXR), call(helpers.flushAll)),
        ],
      },
    ],
    [
      0x104,
      {
        read: op('i64.and', slot64(MIE), slot64(MIDELEG)),
        write: (value) => {
          const mask = and64(slot64(MIDELEG), S_INTERRUPTS);
          const kept = op('i64.and', slot64(MIE), op('i64.xor', mask, i64(-1)));
          return setSlot64(MIE, or64(kept, op('i64.and', get(value), mask)));
        },
      },
    ],
    ...[...plainCsrs].map(([number, slot]) => [number, plain(slot)] as const),
    [
      0x141,
      { read: slot64(SEPC), write: (value: Local) => setSlot64(SEPC, and64(get(value), ~1n)) },
    ],
    [0xc01, { read: op('i64.trunc_sat_f64_s', call(helpers.time)), unless: hidesTime }],
  ]);
}

/** Where mcounteren and scounteren do not show the time. */
const hidesTime: Code = op(
  'i32.or',
  op('i32.and', op('i32.ne', slot32(MODE), i32(3)), op('i64.eqz', and64(slot64(MCOUNTEREN), 2))),
  op('i32.and', op('i32.eqz', slot32(MODE)), op('i64.eqz', and64(slot64(SCOUNTEREN), 2))),
);

function float(low: number, mask: number): QuickCsr {
  const rest = ~(mask << low) & 0xff;
  const bits = and32(op('i32.shr_u', slot32(FCSR), i32(low)), mask);
  return {
    read: extend(bits),
    write: (value) => [
      setSlot32(
        FCSR,
        op(
          'i32.or',
          and32(slot32(FCSR), rest),
          op('i32.shl', and32(wrap(get(value)), mask), i32(low)),
        ),
      ),
      setSlot64(MSTATUS, or64(slot64(MSTATUS), i64(status.FS))),
    ],
    unless: op('i64.eqz', and64(slot64(MSTATUS), status.FS)),
  };
}

/**
 * Reads and writes a CSR as the import `csr` does, if it is one of those above, and gives 1; else
 * nothing is done, and it gives 0.
 */
export function defineQuickCsr(define: Define, helpers: Helpers): void {
  define('quickCsr', (scope) => {
    const [number, action, writes] = scope.params as [Local, Local, Local];
    const old = scope.local('i64');
    const value = scope.local('i64');
    const spare = scope.local('i64');
    const needs = and32(op('i32.shr_u', get(number), i32(8)), 3);
    const updated = choose(
      'i64',
      op('i32.eq', get(action), i32(2)),
      op('i64.and', get(old), op('i64.xor', slot64(CSR_VALUE), i64(-1))),
      or64(slot64(CSR_VALUE), choose('i64', op('i32.eq', get(action), i32(1)), get(old), i64(0))),
    );
    const cases = [...quickCsrs(helpers, spare)].map(([of, { read, write, unless }]) => {
      const other = label('another CSR');
      return block(
        other,
        brIf(op('i32.ne', get(number), i32(of)), other),
        unless === undefined ? [] : when(unless, ret(i32(0))),
        write === undefined ? when(get(writes), ret(i32(0))) : [],
        set(old, read),
        write === undefined ? [] : when(get(writes), [set(value, updated), write(value)]),
        setSlot64(CSR_VALUE, get(old)),
        ret(i32(1)),
      );
    });
    return [when(op('i32.gt_u', needs, slot32(MODE)), ret(i32(0))), cases, i32(0)];
  });
}
