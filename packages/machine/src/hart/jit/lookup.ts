import {
  type Code,
  type FunctionScope,
  get,
  i32,
  type Local,
  load,
  op,
  ret,
  type Signature,
  set,
  type TypeRef,
  tailCallIndirect,
  when,
} from '@anole/bytes/wasm';
import { add32, and32, and64, setSlot32, setSlot64, wrap } from '../interpreter/slots.ts';
import { entryOf, tableOf } from '../interpreter/tlb-access.ts';
import {
  COUNTERS_BYTES,
  DECODED,
  ENTERED,
  FETCH_MODE,
  FRAME_OF,
  JUMPS,
  JUMPS_BYTES,
  JUMPS_MIX,
  LOOSE_JUMPS,
  PC,
  RAM_OFFSET,
  REMAINING,
  TlbKind,
} from '../layout.ts';

/**
 * Compiled code: (pc at which it is entered, instructions that may still be executed) →
 * {@link Outcome}, with PC and REMAINING set.
 */
export const compiledSignature: Signature = { params: ['i64', 'i32'], results: ['i32'] };

/**
 * What is to be done next: go on, execute the instruction at PC by `slow`, or a few by `fast`, or take
 * an interrupt if there is one. The decoded loop alone says to have the place ENTERED compiled, or decoded;
 * {@link acrossTo} alone, that accesses at the place ENTERED reach over the end of a page.
 */
export const Outcome = {
  proceed: 0,
  slow: 1,
  short: 2,
  interrupt: 3,
  hot: 4,
  empty: 5,
  across: 6,
} as const;

/** Offset from JUMPS of the entry for a place: as `jumpSlot` of the layout. */
export const jumpEntry = (place: Local): Code => {
  const mixed = op(
    'i32.xor',
    op('i32.shl', get(place), i32(2)),
    op('i32.shr_u', get(place), i32(JUMPS_MIX)),
  );
  return and32(mixed, JUMPS_BYTES - 8);
};
/** Offset from COUNTERS of the counter for a place. */
export const counterOf = (place: Local): Code =>
  and32(op('i32.shl', get(place), i32(1)), COUNTERS_BYTES - 4);

/** Number of the frame, 0 for none, that has the page with `place` decoded. */
export const frameOf = (place: Local): Code =>
  load(
    'i32.load16_u',
    and32(op('i32.shr_u', get(place), i32(11)), -2),
    FRAME_OF - (RAM_OFFSET >> 11),
  );

/**
 * Body of a function of {@link compiledSignature} that goes to the compiled code for a pc, if the
 * fetch TLB knows the page and there is such code; else, where pages are decoded, to what executes those.
 */
export function chainTo(type: TypeRef, scope: FunctionScope, decodes: boolean): Code {
  const [pc, remaining] = scope.params as [Local, Local];
  const table = scope.local('i32');
  const entry = scope.local('i32');
  const place = scope.local('i32');
  const leave = decodes
    ? tailCallIndirect(type, i32(DECODED), get(pc), get(remaining))
    : [setSlot64(PC, get(pc)), setSlot32(REMAINING, get(remaining)), ret(i32(Outcome.proceed))];
  return [
    set(table, tableOf(TlbKind.fetch, FETCH_MODE)),
    set(entry, entryOf(table, get(pc))),
    when(op('i64.ne', load('i64.load', get(entry)), and64(get(pc), -4096)), leave),
    set(place, add32(wrap(get(pc)), load('i32.load', get(entry), 8))),
    set(entry, jumpEntry(place)),
    when(op('i32.ne', load('i32.load', get(entry), JUMPS), get(place)), leave),
    tailCallIndirect(type, load('i32.load', get(entry), JUMPS + 4), get(pc), get(remaining)),
  ];
}

/**
 * Body of a function of {@link compiledSignature} that goes to the loose code for a pc, which a region left
 * because a group of its accesses is not in one page. Where there is none it says so, unless `shared`.
 */
export function acrossTo(type: TypeRef, scope: FunctionScope, shared: boolean): Code {
  const [pc, remaining] = scope.params as [Local, Local];
  const table = scope.local('i32');
  const entry = scope.local('i32');
  const place = scope.local('i32');
  const leave = (outcome: number): Code => [
    setSlot64(PC, get(pc)),
    setSlot32(REMAINING, get(remaining)),
    ret(i32(outcome)),
  ];
  if (shared) return leave(Outcome.short);
  return [
    set(table, tableOf(TlbKind.fetch, FETCH_MODE)),
    set(entry, entryOf(table, get(pc))),
    when(op('i64.ne', load('i64.load', get(entry)), and64(get(pc), -4096)), leave(Outcome.short)),
    set(place, add32(wrap(get(pc)), load('i32.load', get(entry), 8))),
    set(entry, op('i32.xor', jumpEntry(place), i32(LOOSE_JUMPS))),
    set(place, op('i32.or', get(place), i32(1))),
    when(op('i32.ne', load('i32.load', get(entry), JUMPS), get(place)), [
      setSlot32(ENTERED, get(place)),
      leave(Outcome.across),
    ]),
    tailCallIndirect(type, load('i32.load', get(entry), JUMPS + 4), get(pc), get(remaining)),
  ];
}
