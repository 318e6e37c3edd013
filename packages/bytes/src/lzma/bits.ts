import {
  brIf,
  type Code,
  type FunctionScope,
  get,
  i32,
  type Local,
  label,
  load,
  loop,
  op,
  ret,
  set,
  store,
  when,
} from '../wasm/index.ts';
import { ADAPT, HALF, POSITION_STATES, PROBABILITY_BITS, TOP } from './layout.ts';

/** What the function gives where the input is damaged. */
export const FAILED = 1;

const names = [
  // Where input and output stand, and where they begin and end.
  'at',
  'inEnd',
  'outStart',
  'outEnd',
  'to',
  // The range decoder.
  'range',
  'code',
  // What the properties say.
  'literalBits',
  'literalPositionMask',
  'positionMask',
  // What was met last: the last distances are minus one.
  'state',
  'repeat0',
  'repeat1',
  'repeat2',
  'repeat3',
  // Of the match at hand.
  'position',
  'after',
  'length',
  'lengthBase',
  'isMatch',
  'end',
  // Of a step.
  'address',
  'probability',
  'bound',
  'symbol',
  'base',
  'context',
  'expected',
  'bits',
  'value',
  'index',
  'other',
] as const;

/** The locals of the function, by name. */
export type State = Readonly<Record<(typeof names)[number], Local>>;

export function stateOf(scope: FunctionScope): State {
  const [at, inEnd, outStart, outEnd] = scope.params as [Local, Local, Local, Local];
  const own = names.map((name) => [name, scope.local('i32')] as const);
  return { ...(Object.fromEntries(own) as State), at, inEnd, outStart, outEnd };
}

export const add = (...terms: readonly Code[]) =>
  terms.reduce((sum, term) => op('i32.add', sum, term));
export const sub = (a: Code, b: Code) => op('i32.sub', a, b);
export const mul = (a: Code, b: number) => op('i32.mul', a, i32(b));
export const shl = (a: Code, b: Code) => op('i32.shl', a, b);
export const shr = (a: Code, b: Code) => op('i32.shr_u', a, b);
export const and = (a: Code, b: Code) => op('i32.and', a, b);
export const or = (a: Code, b: Code) => op('i32.or', a, b);
export const below = (a: Code, b: Code) => op('i32.lt_u', a, b);
export const advance = (local: Local, by: Code) => set(local, add(get(local), by));
export const failIf = (condition: Code) => when(condition, ret(i32(FAILED)));

/** Bytes of a probability's place. */
export function at(index: Code): Code {
  return shl(index, i32(1));
}

export function byPosition(s: State): Code {
  return add(mul(get(s.state), POSITION_STATES), get(s.position));
}

/** Gives the range another byte where it needs one. */
export function normalize(s: State): Code {
  const { range, code, at: input, inEnd } = s;
  return when(below(get(range), i32(TOP)), [
    failIf(op('i32.ge_u', get(input), get(inEnd))),
    set(range, shl(get(range), i32(8))),
    set(code, or(shl(get(code), i32(8)), load('i32.load8_u', get(input)))),
    advance(input, i32(1)),
  ]);
}

/** Decodes a bit by the probability at an address, and does what belongs to it. */
export function bit(s: State, address: Code, zero: Code, one: Code): Code {
  const { range, code, bound, probability: p, address: place } = s;
  const rest = sub(i32(2 * HALF), get(p));
  return [
    set(place, address),
    normalize(s),
    set(p, load('i32.load16_u', get(place))),
    set(bound, op('i32.mul', shr(get(range), i32(PROBABILITY_BITS)), get(p))),
    when(
      below(get(code), get(bound)),
      [
        set(range, get(bound)),
        store('i32.store16', get(place), add(get(p), shr(rest, i32(ADAPT)))),
        zero,
      ],
      [
        set(range, sub(get(range), get(bound))),
        set(code, sub(get(code), get(bound))),
        store('i32.store16', get(place), sub(get(p), shr(get(p), i32(ADAPT)))),
        one,
      ],
    ),
  ];
}

/** Puts a bit below those of `symbol`; its place in the tree at `base` is the symbol so far. */
export function symbolBit(s: State, base: Code, zero: Code = [], one: Code = []): Code {
  const symbol = s.symbol;
  const shifted = shl(get(symbol), i32(1));
  return bit(
    s,
    add(base, at(get(symbol))),
    [set(symbol, shifted), zero],
    [set(symbol, or(shifted, i32(1))), one],
  );
}

/** Bits into `symbol` until it reaches `limit`, which stands above them. */
export function tree(s: State, base: Code, limit: number): Code {
  const next = label('next');
  return [
    set(s.base, base),
    set(s.symbol, i32(1)),
    loop(next, symbolBit(s, get(s.base)), brIf(below(get(s.symbol), i32(limit)), next)),
  ];
}
