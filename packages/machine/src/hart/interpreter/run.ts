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
import { ENTERED, FETCH_MODE, HAS_FRAMES, MIE, MIP, PC, REMAINING, TlbKind } from '../layout.ts';
import { Fast } from './fast.ts';
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

/**
 * The same where code is compiled, and decoded first where `decodes`. Interrupts come up in `slow`, and where
 * compiled code says so.
 */
export function runCompiled(
  helpers: Helpers,
  type: TypeRef,
  scope: FunctionScope,
  decodes: boolean,
): Code {
  const skip = scope.local('i32');
  const what = scope.local('i32');
  const again = label('again');
  const proceed = label('proceed');
  const slow = label('slow');
  const is = (value: number): Code => op('i32.eq', get(what), i32(value));
  const hot = call(helpers.hot, slot32(ENTERED));
  const follow = [
    brIf(is(Outcome.slow), slow),
    brIf(is(Outcome.interrupt), again),
    set(skip, op('i32.or', is(Outcome.short), is(Outcome.across))),
    when(op('i32.or', is(Outcome.hot), is(Outcome.across)), [hot, op('drop')]),
    when(is(Outcome.empty), call(helpers.decode, slot32(ENTERED))),
  ];
  const decoded = [
    set(what, call(helpers.decoded, slot64(PC), slot32(REMAINING))),
    follow,
    when(op('i32.eqz', slot32(REMAINING)), ret()),
    brIf(op('i32.ge_u', get(what), i32(Outcome.hot)), proceed),
  ];
  return loop(
    again,
    takeInterrupt(helpers),
    set(skip, i32(0)),
    block(
      slow,
      loop(
        proceed,
        decodes ? when(op('i32.gt_u', slot32(HAS_FRAMES), get(skip)), decoded) : [],
        when(op('i32.eqz', tee(what, call(helpers.fast, get(skip)))), ret()),
        set(skip, i32(0)),
        brIf(is(Fast.slow), slow),
        when(is(Fast.compiled), [
          set(what, callIndirect(type, slot32(ENTERED), slot64(PC), slot32(REMAINING))),
          follow,
          br(proceed),
        ]),
        when(is(Fast.hot), set(skip, hot)),
        when(is(Fast.warm), [call(helpers.warm, slot32(ENTERED)), set(skip, i32(1))]),
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
