import {
  type Code,
  call,
  choose,
  get,
  i32,
  i64,
  type Local,
  op,
  ret,
  set,
  when,
} from '@anole/bytes/wasm';
import {
  DATA_MODE,
  FAULT,
  FETCH_MODE,
  MCAUSE,
  MCOUNTINHIBIT,
  MEDELEG,
  MEPC,
  MIDELEG,
  MIE,
  MINSTRET_OFFSET,
  MIP,
  MODE,
  MSTATUS,
  MTVAL,
  MTVEC,
  PC,
  RESERVATION,
  SCAUSE,
  SEPC,
  STVAL,
  STVEC,
  TlbMode,
} from '../layout.ts';
import { status } from '../status.ts';
import type { Define, Helpers } from './helpers.ts';
import {
  add64,
  and32,
  and64,
  extend,
  isSet64,
  or64,
  setSlot32,
  setSlot64,
  shl64,
  shr64,
  slot32,
  slot64,
  wrap,
} from './slots.ts';

const INTERRUPT = 1n << 63n;
/** Order in which simultaneous interrupts are taken (Privileged spec, "mip and mie"). */
const priorities = [11, 3, 7, 9, 1, 5];

/** Trap entry, return, and choice of interrupts (Privileged spec, "Machine-Level ISA"). */
export function defineTraps(define: Define, helpers: Helpers): void {
  define('trap', ({ params: [cause, value] }) => [
    call(
      helpers.enter,
      extend(get(cause!)),
      get(value!),
      op(
        'i32.and',
        op('i32.lt_u', slot32(MODE), i32(3)),
        and32(wrap(op('i64.shr_u', slot64(MEDELEG), extend(get(cause!)))), 1),
      ),
    ),
    setSlot32(FAULT, i32(1)),
    // The instruction was counted when it began, but it does not retire.
    when(
      op('i64.eqz', and64(slot64(MCOUNTINHIBIT), 4)),
      setSlot64(MINSTRET_OFFSET, add64(slot64(MINSTRET_OFFSET), i64(-1))),
    ),
  ]);
  define('enter', ({ params: [cause, value, toS] }) =>
    when(get(toS!), enterS(helpers, cause!, value!), enterM(helpers, cause!, value!)),
  );
  define('updateModes', (scope) => updateModes(scope.local('i32')));
  defineInterrupt(define, helpers);
  defineReturns(define, helpers);
}

/** stvec or mtvec: vectored mode adds 4 × cause for interrupts. */
function vector(slot: number, cause: Local): Code {
  return add64(
    and64(slot64(slot), -4),
    choose(
      'i64',
      op('i32.and', and32(wrap(slot64(slot)), 1), op('i64.lt_s', get(cause), i64(0))),
      shl64(and64(get(cause), 63), 2),
      i64(0),
    ),
  );
}

function enterS(helpers: Helpers, cause: Local, value: Local): Code {
  const old = slot64(MSTATUS);
  return [
    setSlot64(SEPC, slot64(PC)),
    setSlot64(SCAUSE, get(cause)),
    setSlot64(STVAL, get(value)),
    setSlot64(
      MSTATUS,
      or64(
        and64(old, ~(status.SPP | status.SPIE | status.SIE)),
        or64(
          shl64(and64(slot64(MSTATUS), status.SIE), 4),
          shl64(and64(extend(slot32(MODE)), 1), 8),
        ),
      ),
    ),
    setSlot32(MODE, i32(1)),
    setSlot64(PC, vector(STVEC, cause)),
    call(helpers.updateModes),
  ];
}

function enterM(helpers: Helpers, cause: Local, value: Local): Code {
  return [
    setSlot64(MEPC, slot64(PC)),
    setSlot64(MCAUSE, get(cause)),
    setSlot64(MTVAL, get(value)),
    setSlot64(
      MSTATUS,
      or64(
        and64(slot64(MSTATUS), ~(status.MPP | status.MPIE | status.MIE)),
        or64(shl64(and64(slot64(MSTATUS), status.MIE), 4), shl64(extend(slot32(MODE)), 11)),
      ),
    ),
    setSlot32(MODE, i32(3)),
    setSlot64(PC, vector(MTVEC, cause)),
    call(helpers.updateModes),
  ];
}

/** Loads and stores of M follow MPP where MPRV is set; those of S see user pages where SUM is. */
function updateModes(data: Local): Code {
  const mode = slot32(MODE);
  const mpp = and32(wrap(shr64(slot64(MSTATUS), 11)), 3);
  return [
    setSlot32(FETCH_MODE, mode),
    set(data, choose('i32', isSet64(slot64(MSTATUS), status.MPRV), mpp, mode)),
    when(op('i32.ne', mode, i32(3)), set(data, mode)),
    when(
      op('i32.and', op('i32.eq', get(data), i32(1)), isSet64(slot64(MSTATUS), status.SUM)),
      set(data, i32(TlbMode.supervisorUser)),
    ),
    setSlot32(DATA_MODE, get(data)),
  ];
}

function defineInterrupt(define: Define, helpers: Helpers): void {
  define('interrupt', (scope) => {
    const pending = scope.local('i64');
    const toS = scope.local('i32');
    const deliver = priorities.map((code) =>
      when(isSet64(get(pending), 1n << BigInt(code)), [
        call(helpers.enter, i64(INTERRUPT | BigInt(code)), i64(0), get(toS)),
        ret(),
      ]),
    );
    const enabled = (level: number, bit: bigint): Code =>
      op(
        'i32.or',
        op('i32.lt_u', slot32(MODE), i32(level)),
        op('i32.and', op('i32.eq', slot32(MODE), i32(level)), isSet64(slot64(MSTATUS), bit)),
      );
    const waiting = op('i64.and', slot64(MIP), slot64(MIE));
    const notDelegated = op('i64.xor', slot64(MIDELEG), i64(-1));
    return [
      when(enabled(3, status.MIE), set(pending, op('i64.and', waiting, notDelegated))),
      when(op('i32.and', op('i64.eqz', get(pending)), enabled(1, status.SIE)), [
        set(pending, op('i64.and', waiting, slot64(MIDELEG))),
        set(toS, i32(1)),
      ]),
      deliver,
    ];
  });
}

function defineReturns(define: Define, helpers: Helpers): void {
  define('returnFromS', (scope) => {
    const mode = scope.local('i32');
    return [
      set(mode, and32(wrap(shr64(slot64(MSTATUS), 8)), 1)),
      setSlot64(
        MSTATUS,
        or64(
          and64(slot64(MSTATUS), ~(status.SPP | status.SIE | status.SPIE | status.MPRV)),
          or64(shr64(and64(slot64(MSTATUS), status.SPIE), 4), i64(status.SPIE)),
        ),
      ),
      setSlot64(PC, slot64(SEPC)),
      leave(helpers, mode),
    ];
  });
  define('returnFromM', (scope) => {
    const mode = scope.local('i32');
    return [
      set(mode, and32(wrap(shr64(slot64(MSTATUS), 11)), 3)),
      setSlot64(
        MSTATUS,
        or64(
          and64(slot64(MSTATUS), ~(status.MPP | status.MIE | status.MPIE)),
          or64(shr64(and64(slot64(MSTATUS), status.MPIE), 4), i64(status.MPIE)),
        ),
      ),
      when(
        op('i32.ne', get(mode), i32(3)),
        setSlot64(MSTATUS, and64(slot64(MSTATUS), ~status.MPRV)),
      ),
      setSlot64(PC, slot64(MEPC)),
      leave(helpers, mode),
    ];
  });
}

function leave(helpers: Helpers, mode: Local): Code {
  return [setSlot32(MODE, get(mode)), setSlot64(RESERVATION, i64(-1)), call(helpers.updateModes)];
}
