import {
  block,
  br,
  brIf,
  type Code,
  call,
  callIndirect,
  type FunctionScope,
  get,
  i32,
  i64,
  type Local,
  label,
  load,
  loop,
  op,
  ret,
  set,
  type TypeRef,
  tee,
  when,
} from '@anole/bytes/wasm';
import { Outcome } from '../jit/lookup.ts';
import { ENTERED, FETCH_MODE, MIE, MIP, PC, REMAINING, TlbKind } from '../layout.ts';
import type { Helpers } from './helpers.ts';
import { setSlot32, setSlot64, slot32, slot64, wrap } from './slots.ts';
import { entryOf, tableOf } from './tlb-access.ts';

/** Executes REMAINING instructions: `fast` as far as it can, `slow` for the one that it cannot. */
export function run(helpers: Helpers): Code {
  const again = label('again');
  return loop(
    again,
    takeInterrupt(helpers),
    when(call(helpers.fast, i32(0)), [call(helpers.slow), br(again)]),
  );
}

/** The same where code is compiled. Interrupts come up in `slow`, and where compiled code says so. */
export function runCompiled(helpers: Helpers, type: TypeRef, scope: FunctionScope): Code {
  const skip = scope.local('i32');
  const what = scope.local('i32');
  const again = label('again');
  const proceed = label('proceed');
  const slow = label('slow');
  const is = (value: number): Code => op('i32.eq', get(what), i32(value));
  return loop(
    again,
    takeInterrupt(helpers),
    set(skip, i32(0)),
    block(
      slow,
      loop(
        proceed,
        when(op('i32.eqz', tee(what, call(helpers.fast, get(skip)))), ret()),
        set(skip, i32(0)),
        brIf(is(1), slow),
        when(
          is(2),
          [
            set(what, callIndirect(type, slot32(ENTERED), slot64(PC), slot32(REMAINING))),
            brIf(is(Outcome.slow), slow),
            brIf(is(Outcome.interrupt), again),
            set(skip, is(Outcome.short)),
          ],
          set(skip, call(helpers.hot, slot32(ENTERED))),
        ),
        br(proceed),
      ),
    ),
    call(helpers.slow),
    br(again),
  );
}

/**
 * Stands for compiled code that another hart shared, until it is entered for the first time: has the host
 * put it into the table.
 */
export function loadCode(helpers: Helpers, scope: FunctionScope): Code {
  const [pc, remaining] = scope.params as [Local, Local];
  const entry = scope.local('i32');
  const isHere = op('i64.eq', load('i64.load', get(entry)), op('i64.and', get(pc), i64(-4096)));
  const place = op('i32.add', wrap(get(pc)), load('i32.load', get(entry), 8));
  return [
    setSlot64(PC, get(pc)),
    setSlot32(REMAINING, get(remaining)),
    set(entry, tableOf(TlbKind.fetch, FETCH_MODE)),
    set(entry, entryOf(entry, get(pc))),
    when(isHere, when(call(helpers.hot, place), ret(i32(Outcome.short)))),
    i32(Outcome.proceed),
  ];
}

function takeInterrupt(helpers: Helpers): Code {
  return when(
    op('i64.ne', op('i64.and', slot64(MIP), slot64(MIE)), i64(0)),
    call(helpers.interrupt),
  );
}
