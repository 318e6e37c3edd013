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
  loop,
  op,
  ramAtomic,
  ramLoad,
  ramStore,
  ret,
  set,
  when,
} from '@anole/bytes/wasm';
import {
  DATA_MODE,
  FETCH_MODE,
  LEVELS,
  MSTATUS,
  PMP_GUARD,
  SATP,
  SUPERPAGES,
  TLB_PRIVATE,
  TlbKind,
  TlbMode,
} from '../layout.ts';
import { status } from '../status.ts';
import type { Define, Helpers } from './helpers.ts';
import { accessFault, dropCode, isRam, ramPlace } from './physical.ts';
import {
  add32,
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
} from './slots.ts';

/** Bits of a page table entry (Privileged spec, "Sv39"). */
const Pte = { V: 1, R: 2, W: 4, X: 8, U: 16, G: 32, A: 64, D: 128 } as const;
const PPN = 0x3ffffffffffc00n;
const RESERVED = 0xffc0000000000000n;

/** Cause of a fault of the page table: 12, 13 or 15. */
const pageFault = (kind: Local): Code =>
  add32(add32(i32(12), get(kind)), op('i32.eq', get(kind), i32(TlbKind.write)));

/** PMP for an entry of a page table, which is accessed as by S. */
function guardEntry(helpers: Helpers, place: Local, kind: number, refused: Label): Code {
  return when(
    and32(slot32(PMP_GUARD), 1),
    brIf(op('i32.eqz', call(helpers.pmp, get(place), i32(8), i32(kind), i32(0))), refused),
  );
}

/** Code that nobody comes back to: with one hart, no walk starts anew. */
const plainly = (_again: Label, ...body: readonly Code[]): Code => body;

/** Looks an address up in the page tables (Privileged spec, "Virtual Address Translation Process"). */
export function defineWalk(define: Define, helpers: Helpers, shared: boolean): void {
  define('walk', (scope) => {
    const [address, kind] = scope.params as [Local, Local];
    const shift = scope.local('i64');
    const place = scope.local('i64');
    const pte = scope.local('i64');
    const fault = label('page fault');
    const leaf = label('leaf');
    const down = label('next level');
    const again = label('from the root');
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
          (shared ? loop : plainly)(
            again,
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
                  add64(
                    get(place),
                    shl64(and64(op('i64.shr_u', get(address), get(shift)), 511), 3),
                  ),
                ),
                brIf(op('i32.eqz', isRam(get(place))), noMemory),
                call(helpers.touch, get(place)),
                guardEntry(helpers, place, TlbKind.read, noMemory),
                set(pte, ramLoad('i64.load', ramPlace(get(place)))),
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
            when(op('i32.eqz', bit(Pte.G | Pte.U)), setSlot32(TLB_PRIVATE, i32(1))),
            markUsed(pte, kind, (marked) => [
              guardEntry(helpers, place, TlbKind.write, noMemory),
              dropCode(helpers, place, page, shared),
              shared
                ? exchange(place, pte, marked, again)
                : ramStore('i64.store', ramPlace(get(place)), marked),
            ]),
            ret(or64(get(result), op('i64.and', get(address), get(spare)))),
          ),
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
function markUsed(pte: Local, kind: Local, mark: (marked: Code) => Code): Code {
  const bits = choose(
    'i64',
    op('i32.eq', get(kind), i32(TlbKind.write)),
    i64(Pte.A | Pte.D),
    i64(Pte.A),
  );
  const marked = or64(get(pte), bits);
  return when(op('i64.ne', marked, get(pte)), mark(marked));
}

/** Marks an entry that is still as it was read; else another hart changed it, and the walk starts anew. */
function exchange(place: Local, pte: Local, marked: Code, again: Label): Code {
  const before = ramAtomic('i64.atomic.rmw.cmpxchg', ramPlace(get(place)), [get(pte), marked]);
  return brIf(op('i64.ne', before, get(pte)), again);
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
