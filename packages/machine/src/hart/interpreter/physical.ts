import {
  type Code,
  call,
  get,
  i32,
  i64,
  type Local,
  load,
  op,
  ramAtomic,
  ramLoad,
  set,
  store,
  when,
} from '@anole/bytes/wasm';
import { CODE_PAGES, RAM_BASE, RAM_OFFSET, RAM_SIZE, WRITTEN } from '../layout.ts';
import type { Helpers } from './helpers.ts';
import { add32, add64, and32, extend, shr64, slot32, wrap } from './slots.ts';

/** Cause of a fault of physical memory: 1, 5 or 7. */
export const accessFault = (kind: Local): Code =>
  add32(
    op('i32.shl', get(kind), i32(1)),
    op('i32.add', i32(1), op('i32.mul', i32(2), op('i32.ne', get(kind), i32(0)))),
  );

/** Offset of a physical address within RAM; at least RAM_SIZE where it lies elsewhere. */
export const ramOffset = (physical: Code): Code => op('i64.sub', physical, i64(RAM_BASE));
export const isRam = (physical: Code): Code =>
  op('i64.lt_u', ramOffset(physical), extend(slot32(RAM_SIZE)));
export const ramPlace = (physical: Code): Code => wrap(add64(physical, i64(RAM_OFFSET - RAM_BASE)));

/**
 * Before a write to `physical`, in RAM: drops compiled code and notes the page as written, where all
 * see it if RAM is `shared`. `page` is room for its number.
 */
export function dropCode(helpers: Helpers, physical: Local, page: Local, shared: boolean): Code {
  const place = op('i32.shr_u', get(page), i32(3));
  const byte = load('i32.load8_u', place, CODE_PAGES);
  const bit = op('i32.shl', i32(1), and32(get(page), 7));
  return [
    set(page, wrap(shr64(ramOffset(get(physical)), 12))),
    shared
      ? when(op('i32.eqz', op('i32.and', ramLoad('i32.load8_u', place, WRITTEN), bit)), [
          ramAtomic('i32.atomic.rmw8.or_u', place, [bit], WRITTEN),
          op('drop'),
        ])
      : store('i32.store8', place, op('i32.or', load('i32.load8_u', place, WRITTEN), bit), WRITTEN),
    when(
      and32(op('i32.shr_u', byte, and32(get(page), 7)), 1),
      call(helpers.codeWritten, get(page)),
    ),
  ];
}
