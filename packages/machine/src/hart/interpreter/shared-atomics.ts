import {
  brIf,
  type Code,
  choose,
  get,
  i64,
  label,
  loop,
  op,
  ramAtomic,
  set,
} from '@anole/bytes/wasm';
import type { AtomicOperation, MemoryUpdate } from '../../isa/ir.ts';
import { RESERVATION, RESERVED_VALUE } from '../layout.ts';
import type { AtomicLocals } from './atomics.ts';
import { and64, setSlot64, slot64 } from './slots.ts';

const operators = {
  4: {
    load: 'i64.atomic.load32_u',
    exchange: 'i64.atomic.rmw32.cmpxchg_u',
    swap: 'i64.atomic.rmw32.xchg_u',
    add: 'i64.atomic.rmw32.add_u',
    xor: 'i64.atomic.rmw32.xor_u',
    and: 'i64.atomic.rmw32.and_u',
    or: 'i64.atomic.rmw32.or_u',
  },
  8: {
    load: 'i64.atomic.load',
    exchange: 'i64.atomic.rmw.cmpxchg',
    swap: 'i64.atomic.rmw.xchg',
    add: 'i64.atomic.rmw.add',
    xor: 'i64.atomic.rmw.xor',
    and: 'i64.atomic.rmw.and',
    or: 'i64.atomic.rmw.or',
  },
} as const;

const comparisons = {
  min: 'i64.lt_s',
  max: 'i64.gt_s',
  minu: 'i64.lt_u',
  maxu: 'i64.gt_u',
} as const satisfies Partial<Record<AtomicOperation, string>>;

/**
 * As `updateAt` of {@link ./atomics.ts}, where other harts work on the same RAM: sequentially
 * consistent, whatever aq and rl ask for. See docs/decisions/0024.
 */
export function sharedUpdateAt(update: MemoryUpdate, locals: AtomicLocals): Code {
  const { address, place, operand, old } = locals;
  const { width } = update;
  const use = operators[width];
  if (update.kind === 'loadReserved') {
    return [
      set(old, signExtended(width, ramAtomic(use.load, get(place)))),
      setSlot64(RESERVATION, get(address)),
      setSlot64(RESERVED_VALUE, get(old)),
      get(old),
    ];
  }
  if (update.kind === 'storeConditional') {
    const expected = zeroExtended(width, slot64(RESERVED_VALUE));
    return [
      set(old, expected),
      setSlot64(RESERVATION, i64(-1)),
      choose(
        'i64',
        op('i64.eq', ramAtomic(use.exchange, get(place), [get(old), get(operand)]), get(old)),
        i64(0),
        i64(1),
      ),
    ];
  }
  const { operation } = update;
  if (operation in comparisons) return choice(operation as keyof typeof comparisons, width, locals);
  const operator = use[operation as 'swap' | 'add' | 'xor' | 'and' | 'or'];
  return signExtended(width, ramAtomic(operator, get(place), [get(operand)]));
}

/** Minima and maxima, by compare-exchange until nobody came in between. */
function choice(
  operation: keyof typeof comparisons,
  width: 4 | 8,
  { place, operand, old }: AtomicLocals,
): Code {
  const { load, exchange } = operators[width];
  const again = label('again');
  const result = op(
    'select',
    get(old),
    get(operand),
    op(comparisons[operation], get(old), get(operand)),
  );
  const before = zeroExtended(width, get(old));
  return [
    set(operand, signExtended(width, get(operand))),
    loop(
      again,
      set(old, signExtended(width, ramAtomic(load, get(place)))),
      brIf(op('i64.ne', ramAtomic(exchange, get(place), [before, result]), before), again),
    ),
    get(old),
  ];
}

const signExtended = (width: 4 | 8, value: Code): Code =>
  width === 4 ? op('i64.extend32_s', value) : value;

/** What the narrow operators compare with and give. */
const zeroExtended = (width: 4 | 8, value: Code): Code =>
  width === 4 ? and64(value, 0xffffffffn) : value;
