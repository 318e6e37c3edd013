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
  label,
  loop,
  op,
  ret,
  set,
  type TypeRef,
  tee,
  when,
} from '@anole/bytes/wasm';
import { Outcome } from '../jit/lookup.ts';
import { ENTERED, MIE, MIP, PC, REMAINING } from '../layout.ts';
import type { Helpers } from './helpers.ts';
import { slot32, slot64 } from './slots.ts';

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

function takeInterrupt(helpers: Helpers): Code {
  return when(
    op('i64.ne', op('i64.and', slot64(MIP), slot64(MIE)), i64(0)),
    call(helpers.interrupt),
  );
}
