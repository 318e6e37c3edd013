import {
  block,
  br,
  brIf,
  type Code,
  call,
  choose,
  get,
  i32,
  i64,
  type Label,
  type Local,
  label,
  load,
  loop,
  op,
  ret,
  set,
  store,
  tee,
  when,
} from '../../wasm/code.ts';
import {
  ACCESS_SIZE,
  BACKED,
  CODE_PAGES,
  CODE_TAG,
  DATA_MODE,
  FETCH_MODE,
  LEVELS,
  MSTATUS,
  NO_PAGE,
  PMP_GUARD,
  RAM_BASE,
  RAM_OFFSET,
  RAM_SIZE,
  SATP,
  SUPERPAGES,
  TLB,
  TLB_BYTES,
  TLB_END,
  TLB_MODES,
  TlbKind,
  TlbMode,
  TOUCHED,
} from '../layout.ts';
import { status } from '../status.ts';
import type { Define, Helpers } from './helpers.ts';
import {
  add32,
  add64,
  and32,
  and64,
  extend,
  isSet64,
  or64,
  setSlot64,
  shl64,
  shr64,
  slot32,
  slot64,
  wrap,
} from './slots.ts';

/** Bits of a page table entry (Privileged spec, "Sv39"). */
const Pte = { V: 1, R: 2, W: 4, X: 8, U: 16, A: 64, D: 128 } as const;
const PPN = 0x3ffffffffffc00n;
const RESERVED = 0xffc0000000000000n;

/** Cause of a fault: of the page table (12, 13, 15) or of physical memory (1, 5, 7). */
const pageFault = (kind: Local): Code =>
  add32(add32(i32(12), get(kind)), op('i32.eq', get(kind), i32(TlbKind.write)));
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

/** Translation of addresses: TLB refill, page tables, fences. */
export function defineMmu(define: Define, helpers: Helpers): void {
  defineTouch(define, helpers);
  defineTranslate(define, helpers);
  defineWalk(define, helpers);
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

/** Before a write to `physical`, in RAM. */
function dropCode(helpers: Helpers, physical: Local, page: Local): Code {
  const byte = load('i32.load8_u', op('i32.shr_u', get(page), i32(3)), CODE_PAGES);
  return [
    set(page, wrap(shr64(ramOffset(get(physical)), 12))),
    when(
      and32(op('i32.shr_u', byte, and32(get(page), 7)), 1),
      call(helpers.codeWritten, get(page)),
    ),
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

/** PMP for an entry of a page table, which is accessed as by S. */
function guardEntry(helpers: Helpers, place: Local, kind: number, refused: Label): Code {
  return when(
    and32(slot32(PMP_GUARD), 1),
    brIf(op('i32.eqz', call(helpers.pmp, get(place), i32(8), i32(kind), i32(0))), refused),
  );
}

function tlbEntry(address: Local, kind: Local, mode: Local): Code {
  const table = add32(op('i32.mul', get(kind), i32(TLB_MODES)), get(mode));
  return add32(
    add32(i32(TLB), op('i32.mul', table, i32(TLB_BYTES))),
    and32(wrap(shr64(get(address), 8)), TLB_BYTES - 16),
  );
}

function defineWalk(define: Define, helpers: Helpers): void {
  define('walk', (scope) => {
    const [address, kind] = scope.params as [Local, Local];
    const shift = scope.local('i64');
    const place = scope.local('i64');
    const pte = scope.local('i64');
    const fault = label('page fault');
    const leaf = label('leaf');
    const down = label('next level');
    const spare = scope.local('i64');
    const noMemory = label('page table outside of RAM');
    const result = scope.local('i64');
    const page = scope.local('i32');
    const bit = (bits: number): Code => isSet64(get(pte), bits);
    return [
      block(
        fault,
        block(
          noMemory,
          // Bits above the address space must equal its highest bit.
          set(shift, op('i64.sub', i64(52), extend(op('i32.mul', slot32(LEVELS), i32(9))))),
          set(spare, op('i64.shr_s', op('i64.shl', get(address), get(shift)), get(shift))),
          brIf(op('i64.ne', get(spare), get(address)), fault),
          set(place, shl64(and64(slot64(SATP), 0xfffffffffffn), 12)),
          set(shift, op('i64.sub', i64(52), get(shift))),
          set(shift, add64(get(shift), i64(12))),
          block(
            leaf,
            loop(
              down,
              set(shift, op('i64.sub', get(shift), i64(9))),
              set(
                place,
                add64(get(place), shl64(and64(op('i64.shr_u', get(address), get(shift)), 511), 3)),
              ),
              brIf(op('i32.eqz', isRam(get(place))), noMemory),
              call(helpers.touch, get(place)),
              guardEntry(helpers, place, TlbKind.read, noMemory),
              set(pte, load('i64.load', ramPlace(get(place)))),
              brIf(op('i64.eqz', and64(get(pte), Pte.V)), fault),
              brIf(isSet64(get(pte), RESERVED), fault),
              brIf(bit(Pte.R | Pte.W | Pte.X), leaf),
              brIf(bit(Pte.U | Pte.A | Pte.D), fault),
              brIf(op('i64.eq', get(shift), i64(12)), fault),
              set(place, shl64(shr64(and64(get(pte), PPN), 10), 12)),
              br(down),
            ),
          ),
          checkPermissions(pte, kind, fault),
          set(result, shl64(shr64(and64(get(pte), PPN), 10), 12)),
          // A superpage's frame is aligned to its size.
          set(spare, op('i64.sub', op('i64.shl', i64(1), get(shift)), i64(1))),
          brIf(op('i64.ne', op('i64.and', get(result), get(spare)), i64(0)), fault),
          when(op('i64.gt_u', get(shift), i64(12)), noteSuperpage(address, spare)),
          markUsed(pte, place, kind, [
            guardEntry(helpers, place, TlbKind.write, noMemory),
            dropCode(helpers, place, page),
          ]),
          ret(or64(get(result), op('i64.and', get(address), get(spare)))),
        ),
        call(helpers.trap, accessFault(kind), get(address)),
        ret(i64(-1)),
      ),
      call(helpers.trap, pageFault(kind), get(address)),
      i64(-1),
    ];
  });
}

/** Whether the leaf allows the access: rights, and whose page it is. */
function checkPermissions(pte: Local, kind: Local, fault: Label): Code {
  const bit = (bits: number): Code => isSet64(get(pte), bits);
  const mode = choose('i32', op('i32.eqz', get(kind)), slot32(FETCH_MODE), slot32(DATA_MODE));
  const isUser = op('i32.eq', mode, i32(TlbMode.user));
  const mayUseUser = op('i32.eq', mode, i32(TlbMode.supervisorUser));
  const readable = op(
    'i32.or',
    bit(Pte.R),
    op('i32.and', bit(Pte.X), isSet64(slot64(MSTATUS), status.MXR)),
  );
  return [
    // Writable but not readable is reserved.
    brIf(op('i32.gt_u', bit(Pte.W), bit(Pte.R)), fault),
    brIf(
      op(
        'i32.eqz',
        choose('i32', bit(Pte.U), op('i32.or', isUser, mayUseUser), op('i32.eqz', isUser)),
      ),
      fault,
    ),
    when(op('i32.eq', get(kind), i32(TlbKind.fetch)), brIf(op('i32.eqz', bit(Pte.X)), fault)),
    when(op('i32.eq', get(kind), i32(TlbKind.read)), brIf(op('i32.eqz', readable), fault)),
    when(op('i32.eq', get(kind), i32(TlbKind.write)), brIf(op('i32.eqz', bit(Pte.W)), fault)),
  ];
}

/** Sets A, and D for a write, as hardware may: the entry is written only where they change. */
function markUsed(pte: Local, place: Local, kind: Local, check: Code): Code {
  const bits = choose(
    'i64',
    op('i32.eq', get(kind), i32(TlbKind.write)),
    i64(Pte.A | Pte.D),
    i64(Pte.A),
  );
  const marked = or64(get(pte), bits);
  return when(op('i64.ne', marked, get(pte)), [
    check,
    store('i64.store', ramPlace(get(place)), marked),
  ]);
}

/** Widens the range of superpages of the address's half, see SUPERPAGES. */
function noteSuperpage(address: Local, offsets: Local): Code {
  const low = op('i64.and', get(address), op('i64.xor', get(offsets), i64(-1)));
  const high = op('i64.or', get(address), get(offsets));
  const widen = (slot: number): Code => [
    when(op('i64.lt_u', low, slot64(slot)), setSlot64(slot, low)),
    when(op('i64.gt_u', high, slot64(slot + 8)), setSlot64(slot + 8, high)),
  ];
  return when(op('i64.lt_s', get(address), i64(0)), widen(SUPERPAGES + 16), widen(SUPERPAGES));
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
