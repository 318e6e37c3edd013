import {
  type Code,
  choose,
  get,
  i64,
  type Local,
  op,
  ramLoad,
  ramStore,
  set,
  type ValueType,
} from '@anole/bytes/wasm';
import type { MemoryUpdate } from '../../isa/ir.ts';
import { RESERVATION, RESERVED_VALUE } from '../layout.ts';
import { setSlot64, slot64 } from './slots.ts';

/** Locals that an atomic access works with. */
export interface AtomicLocals {
  /** Virtual address. */
  readonly address: Local;
  /** Place in the WebAssembly memory. */
  readonly place: Local;
  readonly operand: Local;
  readonly old: Local;
}

const loader = { 4: 'i64.load32_s', 8: 'i64.load' } as const;
const storer = { 4: 'i64.store32', 8: 'i64.store' } as const;

/**
 * An lr, sc or amo at `place`, leaving what rd gets, for one hart alone in its memory. Operands of
 * words are compared sign-extended, which keeps the order of unsigned words too.
 */
export function updateAt(update: MemoryUpdate, locals: AtomicLocals): Code {
  const { address, place, operand, old } = locals;
  const { width } = update;
  const read = set(old, ramLoad(loader[width], get(place)));
  if (update.kind === 'loadReserved') {
    return [
      read,
      setSlot64(RESERVATION, get(address)),
      setSlot64(RESERVED_VALUE, get(old)),
      get(old),
    ];
  }
  if (update.kind === 'storeConditional') return storeConditional(width, locals);
  const extended = width === 4 ? op('i64.extend32_s', get(operand)) : get(operand);
  const pick = (compare: 'i64.lt_s' | 'i64.gt_s' | 'i64.lt_u' | 'i64.gt_u'): Code =>
    op('select', get(old), get(operand), op(compare, get(old), get(operand)));
  const results = {
    swap: get(operand),
    add: op('i64.add', get(old), get(operand)),
    xor: op('i64.xor', get(old), get(operand)),
    and: op('i64.and', get(old), get(operand)),
    or: op('i64.or', get(old), get(operand)),
    min: pick('i64.lt_s'),
    max: pick('i64.gt_s'),
    minu: pick('i64.lt_u'),
    maxu: pick('i64.gt_u'),
  } as const;
  return [
    set(operand, extended),
    read,
    ramStore(storer[width], get(place), results[update.operation]),
    get(old),
  ];
}

/** Stores where memory still holds what lr gave (the address was compared before). */
function storeConditional(width: 4 | 8, { place, operand, old }: AtomicLocals): Code {
  return [
    set(old, ramLoad(loader[width], get(place))),
    setSlot64(RESERVATION, i64(-1)),
    choose(
      'i64',
      op('i64.eq', get(old), slot64(RESERVED_VALUE)),
      [ramStore(storer[width], get(place), get(operand)), i64(0)],
      i64(1),
    ),
  ];
}

/** Whether the reservation is for this address. */
export const isReserved = (address: Local): Code => op('i64.eq', slot64(RESERVATION), get(address));

/** Locals by type, given out again for each instruction: a function has one set of them. */
export class LocalPool {
  readonly #make: (type: ValueType) => Local;
  readonly #all = new Map<ValueType, Local[]>();
  readonly #used = new Map<ValueType, number>();

  constructor(make: (type: ValueType) => Local) {
    this.#make = make;
  }

  take(type: ValueType): Local {
    const locals = this.#all.get(type) ?? [];
    this.#all.set(type, locals);
    const used = this.#used.get(type) ?? 0;
    this.#used.set(type, used + 1);
    const local = locals[used] ?? this.#make(type);
    locals[used] = local;
    return local;
  }

  /** Before the next instruction. */
  reset(): void {
    this.#used.clear();
  }
}
