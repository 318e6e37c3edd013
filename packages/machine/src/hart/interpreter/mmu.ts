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
  memoryFill,
  op,
  ramAtomic,
  ramLoad,
  ret,
  set,
  store,
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
  TLB_MODES,
  TLB_PART,
  TLB_PRIVATE,
  TLB_USED,
  TlbKind,
  TlbMode,
  TOUCHED,
} from '../layout.ts';
import type { Define, Helpers } from './helpers.ts';
import type { InterpreterOptions } from './options.ts';
import { defineWalk } from './page-walk.ts';
import { accessFault, dropCode, isRam, ramOffset, ramPlace } from './physical.ts';
import {
  add32,
  add64,
  and32,
  and64,
  extend,
  or64,
  setSlot32,
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
  defineTranslate(define, helpers, shared);
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

function defineTranslate(define: Define, helpers: Helpers, shared: boolean): void {
  define('translate', (scope) => {
    const [address, kind] = scope.params as [Local, Local];
    const mode = scope.local('i32');
    const physical = scope.local('i64');
    const entry = scope.local('i32');
    const isPaged = op('i32.ne', get(mode), i32(TlbMode.bare));
    return [
      set(mode, modeOf(kind)),
      known(helpers, { address, kind, mode, physical, answer: entry }, shared),
      set(physical, get(address)),
      when(
        op('i32.and', isPaged, op('i32.ne', slot32(LEVELS), i32(0))),
        [
          set(physical, call(helpers.walk, get(address), get(kind))),
          when(op('i64.eq', get(physical), i64(-1)), ret(i64(-1))),
        ],
        when(isPaged, setSlot32(TLB_PRIVATE, i32(1))),
      ),
      when(
        op('i32.and', op('i32.eq', get(kind), i32(TlbKind.write)), isRam(get(physical))),
        dropCode(helpers, physical, entry, shared),
      ),
      guard(helpers, { address, physical, kind, mode, answer: entry }),
      when(
        isRam(get(physical)),
        enterTlb(helpers, { address, physical, kind, mode, answer: entry }),
        when(op('i32.eqz', get(kind)), [
          call(helpers.trap, accessFault(kind), get(address)),
          ret(i64(-1)),
        ]),
      ),
      get(physical),
    ];
  });
}

const modeOf = (kind: Local): Code =>
  choose('i32', op('i32.eqz', get(kind)), slot32(FETCH_MODE), slot32(DATA_MODE));

function enterTlb(helpers: Helpers, access: Checked): Code {
  const { address, physical, kind, mode, answer: entry } = access;
  const page = and64(get(address), -4096);
  const place = ramPlace(and64(get(physical), -4096));
  return [
    call(helpers.touch, get(physical)),
    set(entry, tlbEntry(address, kind, mode)),
    markPart(entry),
    store('i64.store', get(entry), page),
    store('i32.store', get(entry), op('i32.sub', place, wrap(page)), 8),
  ];
}

/** Notes that the part of a table which an entry is in may have some. */
function markPart(entry: Local): Code {
  // Tables lie at multiples of their size: their number is in the upper bits, with that of `TLB`.
  const used = and32(op('i32.shr_u', get(entry), i32(15)), -2);
  const first = TLB_USED - 2 * (TLB / TLB_BYTES);
  const part = and32(op('i32.shr_u', get(entry), i32(12)), TLB_BYTES / TLB_PART - 1);
  const parts = op('i32.or', load('i32.load16_u', used, first), op('i32.shl', i32(1), part));
  return store('i32.store16', used, parts, first);
}

/**
 * What the TLB knows needs no page table, which may say something else by now. A write to a page
 * that is known to hold compiled code drops the code and gives the entry its plain tag.
 */
function known(helpers: Helpers, access: Checked, shared: boolean): Code {
  const { address, kind, mode, physical, answer: entry } = access;
  const page = and64(get(address), -4096);
  const tag = load('i64.load', get(entry));
  const isCode = op(
    'i32.and',
    op('i32.eq', get(kind), i32(TlbKind.write)),
    op('i64.eq', tag, or64(page, i64(CODE_TAG))),
  );
  return [
    set(entry, tlbEntry(address, kind, mode)),
    set(
      physical,
      add64(
        extend(add32(wrap(get(address)), load('i32.load', get(entry), 8))),
        i64(RAM_BASE - RAM_OFFSET),
      ),
    ),
    when(op('i64.eq', tag, page), ret(get(physical))),
    when(isCode, [
      store('i64.store', get(entry), page),
      dropCode(helpers, physical, entry, shared),
      ret(get(physical)),
    ]),
  ];
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

const tableNumber = (kind: Local, mode: Local): Code =>
  add32(op('i32.mul', get(kind), i32(TLB_MODES)), get(mode));

function tlbEntry(address: Local, kind: Local, mode: Local): Code {
  return add32(
    add32(i32(TLB), op('i32.mul', tableNumber(kind, mode), i32(TLB_BYTES))),
    and32(wrap(shr64(get(address), 8)), TLB_BYTES - 16),
  );
}

/** Parts of a table that may have entries. */
const usedParts = (table: number): Code => load('i32.load16_u', i32(0), TLB_USED + 2 * table);

function defineFlushes(define: Define, helpers: Helpers): void {
  const tables = Array.from({ length: 3 * TLB_MODES }, (_, table) => table);
  const empty = (some: readonly number[]): Code =>
    some.map((table) => when(usedParts(table), call(helpers.emptyTable, i32(table))));
  define('emptyTable', (scope) => {
    const [table] = scope.params as [Local];
    const parts = scope.local('i32');
    const start = scope.local('i32');
    const next = label('part');
    const used = op('i32.shl', get(table), i32(1));
    const part = op('i32.mul', op('i32.ctz', get(parts)), i32(TLB_PART));
    return [
      set(parts, load('i32.load16_u', used, TLB_USED)),
      store('i32.store16', used, i32(0), TLB_USED),
      set(start, op('i32.mul', get(table), i32(TLB_BYTES))),
      loop(
        next,
        memoryFill(add32(add32(get(start), i32(TLB)), part), i32(0), i32(TLB_PART)),
        set(parts, op('i32.and', get(parts), op('i32.sub', get(parts), i32(1)))),
        brIf(get(parts), next),
      ),
      store('i64.store', get(start), i64(NO_PAGE), TLB),
    ];
  });
  define('flushAll', () => [
    empty(tables),
    setSlot32(TLB_PRIVATE, i32(0)),
    [SUPERPAGES, SUPERPAGES + 16].map((slot) => [
      setSlot64(slot, i64(-1)),
      setSlot64(slot + 8, i64(0)),
    ]),
  ]);
  // The tables of mode `supervisor` have global entries alone, as a rule: those of the kernel.
  define('flushSpace', () => [
    when(slot32(TLB_PRIVATE), [call(helpers.flushAll), ret()]),
    empty(tables.filter((table) => table % TLB_MODES !== TlbMode.supervisor)),
  ]);
  define('flushPage', (scope) => {
    const [address] = scope.params as [Local];
    const at = scope.local('i32');
    const part = scope.local('i32');
    const within = (slot: number): Code =>
      op(
        'i32.and',
        op('i64.ge_u', get(address), slot64(slot)),
        op('i64.le_u', get(address), slot64(slot + 8)),
      );
    return [
      when(op('i32.or', within(SUPERPAGES), within(SUPERPAGES + 16)), [
        call(helpers.flushAll),
        ret(),
      ]),
      set(at, and32(wrap(shr64(get(address), 8)), TLB_BYTES - 16)),
      set(part, op('i32.shl', i32(1), op('i32.div_u', get(at), i32(TLB_PART)))),
      tables.map((table) =>
        when(
          op('i32.and', usedParts(table), get(part)),
          store('i64.store', get(at), i64(NO_PAGE), TLB + table * TLB_BYTES),
        ),
      ),
    ];
  });
}
