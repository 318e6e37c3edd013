import {
  brIf,
  type Code,
  call,
  choose,
  get,
  i32,
  i64,
  type Local,
  label,
  load,
  loop,
  op,
  ramAtomic,
  ramLoad,
  ret,
  set,
  store,
  tee,
  when,
} from '@anole/bytes/wasm';
import {
  ACCESS_SIZE,
  BACKED,
  CODE_TAG,
  DATA_MODE,
  FETCH_MODE,
  LEVELS,
  NO_PAGE,
  PMP_GUARD,
  RAM_BASE,
  RAM_OFFSET,
  SUPERPAGES,
  TLB,
  TLB_BYTES,
  TLB_END,
  TLB_MODES,
  TlbKind,
  TlbMode,
  TOUCHED,
} from '../layout.ts';
import type { Define, Helpers } from './helpers.ts';
import type { InterpreterOptions } from './module.ts';
import { defineWalk } from './page-walk.ts';
import { accessFault, dropCode, isRam, ramOffset, ramPlace } from './physical.ts';
import {
  add32,
  add64,
  and32,
  and64,
  extend,
  or64,
  setSlot64,
  shr64,
  slot32,
  slot64,
  wrap,
} from './slots.ts';

/** Translation of addresses: TLB refill, page tables, fences. */
export function defineMmu(define: Define, helpers: Helpers, { shared }: InterpreterOptions): void {
  if (shared) defineSharedTouch(define, helpers);
  else defineTouch(define, helpers);
  defineTranslate(define, helpers);
  defineWalk(define, helpers, shared);
  defineFlushes(define, helpers);
}

/**
 * Whatever touches RAM by a physical address comes through here first; entries of the TLB stand for
 * pages that were touched.
 */
function defineTouch(define: Define, helpers: Helpers): void {
  define('touch', (scope) => {
    const [physical] = scope.params as [Local];
    const page = scope.local('i32');
    const place = scope.local('i32');
    const bit = op('i32.shl', i32(1), op('i32.and', get(page), i32(7)));
    const byte = load('i32.load8_u', get(place), TOUCHED);
    return [
      set(page, wrap(shr64(ramOffset(get(physical)), 12))),
      set(place, op('i32.shr_u', get(page), i32(3))),
      when(op('i32.eqz', op('i32.and', byte, bit)), [
        store('i32.store8', get(place), op('i32.or', byte, bit), TOUCHED),
        when(slot32(BACKED), call(helpers.fillPage, get(page))),
      ]),
    ];
  });
}

/**
 * The same for RAM that harts share. A page is noted as touched when it has its content: the host
 * fills and notes it where it has some, and the call comes back after that.
 */
function defineSharedTouch(define: Define, helpers: Helpers): void {
  define('touch', (scope) => {
    const [physical] = scope.params as [Local];
    const page = scope.local('i32');
    const place = scope.local('i32');
    const bit = op('i32.shl', i32(1), op('i32.and', get(page), i32(7)));
    return [
      set(page, wrap(shr64(ramOffset(get(physical)), 12))),
      set(place, op('i32.shr_u', get(page), i32(3))),
      when(
        op('i32.eqz', op('i32.and', ramLoad('i32.load8_u', get(place), TOUCHED), bit)),
        when(slot32(BACKED), call(helpers.fillPage, get(page)), [
          ramAtomic('i32.atomic.rmw8.or_u', get(place), [bit], TOUCHED),
          op('drop'),
        ]),
      ),
    ];
  });
}

function defineTranslate(define: Define, helpers: Helpers): void {
  define('translate', (scope) => {
    const [address, kind] = scope.params as [Local, Local];
    const mode = scope.local('i32');
    const physical = scope.local('i64');
    const entry = scope.local('i32');
    const page = and64(get(address), -4096);
    return [
      set(mode, choose('i32', op('i32.eqz', get(kind)), slot32(FETCH_MODE), slot32(DATA_MODE))),
      writeKnownCode(helpers, { address, kind, mode, physical, answer: entry }),
      set(physical, get(address)),
      when(
        op(
          'i32.and',
          op('i32.ne', get(mode), i32(TlbMode.bare)),
          op('i32.ne', slot32(LEVELS), i32(0)),
        ),
        [
          set(physical, call(helpers.walk, get(address), get(kind))),
          when(op('i64.eq', get(physical), i64(-1)), ret(i64(-1))),
        ],
      ),
      when(
        op('i32.and', op('i32.eq', get(kind), i32(TlbKind.write)), isRam(get(physical))),
        dropCode(helpers, physical, entry),
      ),
      guard(helpers, { address, physical, kind, mode, answer: entry }),
      when(
        isRam(get(physical)),
        [
          call(helpers.touch, get(physical)),
          set(entry, tlbEntry(address, kind, mode)),
          store('i64.store', get(entry), page),
          store(
            'i32.store',
            get(entry),
            op('i32.sub', ramPlace(and64(get(physical), -4096)), wrap(page)),
            8,
          ),
        ],
        when(op('i32.eqz', get(kind)), [
          call(helpers.trap, accessFault(kind), get(address)),
          ret(i64(-1)),
        ]),
      ),
      get(physical),
    ];
  });
}

/**
 * A write to a page that the TLB knows to hold compiled code: drops the code and gives the entry
 * its plain tag. As without compiled code, no page table is looked at.
 */
function writeKnownCode(helpers: Helpers, access: Checked): Code {
  const { address, kind, mode, physical, answer: entry } = access;
  const page = and64(get(address), -4096);
  return when(op('i32.eq', get(kind), i32(TlbKind.write)), [
    set(entry, tlbEntry(address, kind, mode)),
    when(op('i64.eq', load('i64.load', get(entry)), or64(page, i64(CODE_TAG))), [
      store('i64.store', get(entry), page),
      set(
        physical,
        add64(
          extend(add32(wrap(get(address)), load('i32.load', get(entry), 8))),
          i64(RAM_BASE - RAM_OFFSET),
        ),
      ),
      dropCode(helpers, physical, entry),
      ret(get(physical)),
    ]),
  ]);
}

interface Checked {
  readonly address: Local;
  readonly physical: Local;
  readonly kind: Local;
  readonly mode: Local;
  /** Room for the answer. */
  readonly answer: Local;
}

/**
 * PMP: refuses the access, or gives its address without entering it into the TLB where other bytes
 * of the page have other rights.
 */
function guard(helpers: Helpers, { address, physical, kind, mode, answer }: Checked): Code {
  const machine = op('i32.eq', get(mode), i32(TlbMode.bare));
  const size = slot32(ACCESS_SIZE);
  return when(op('i32.and', slot32(PMP_GUARD), op('i32.shl', i32(1), machine)), [
    set(answer, call(helpers.pmp, get(physical), size, get(kind), machine)),
    when(op('i32.eqz', get(answer)), [
      call(helpers.trap, accessFault(kind), get(address)),
      ret(i64(-1)),
    ]),
    when(op('i32.and', op('i32.eq', get(answer), i32(2)), isRam(get(physical))), [
      call(helpers.touch, get(physical)),
      ret(get(physical)),
    ]),
  ]);
}

function tlbEntry(address: Local, kind: Local, mode: Local): Code {
  const table = add32(op('i32.mul', get(kind), i32(TLB_MODES)), get(mode));
  return add32(
    add32(i32(TLB), op('i32.mul', table, i32(TLB_BYTES))),
    and32(wrap(shr64(get(address), 8)), TLB_BYTES - 16),
  );
}

function defineFlushes(define: Define, helpers: Helpers): void {
  define('flushAll', (scope) => {
    const at = scope.local('i32');
    const again = label('entries');
    return [
      set(at, i32(TLB)),
      loop(
        again,
        [0, 16, 32, 48].map((offset) => store('i64.store', get(at), i64(NO_PAGE), offset)),
        brIf(op('i32.lt_u', tee(at, add32(get(at), i32(64))), i32(TLB_END)), again),
      ),
      [SUPERPAGES, SUPERPAGES + 16].map((slot) => [
        setSlot64(slot, i64(-1)),
        setSlot64(slot + 8, i64(0)),
      ]),
    ];
  });
  define('flushPage', (scope) => {
    const [address] = scope.params as [Local];
    const at = scope.local('i32');
    const within = (slot: number): Code =>
      op(
        'i32.and',
        op('i64.ge_u', get(address), slot64(slot)),
        op('i64.le_u', get(address), slot64(slot + 8)),
      );
    const tables = Array.from({ length: 3 * TLB_MODES }, (_, table) => table);
    return [
      when(op('i32.or', within(SUPERPAGES), within(SUPERPAGES + 16)), [
        call(helpers.flushAll),
        ret(),
      ]),
      set(at, add32(i32(TLB), and32(wrap(shr64(get(address), 8)), TLB_BYTES - 16))),
      tables.map((table) => store('i64.store', get(at), i64(NO_PAGE), table * TLB_BYTES)),
    ];
  });
}
