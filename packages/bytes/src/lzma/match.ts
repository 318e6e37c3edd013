import {
  brIf,
  type Code,
  choose,
  get,
  i32,
  type Local,
  label,
  load,
  loop,
  op,
  set,
  store,
  when,
} from '../wasm/index.ts';
import {
  add,
  advance,
  and,
  at,
  below,
  bit,
  byPosition,
  normalize,
  or,
  type State,
  shl,
  shr,
  sub,
  symbolBit,
  tree,
} from './bits.ts';
import {
  ALIGN,
  IS_REPEAT_0,
  IS_REPEAT_0_LONG,
  IS_REPEAT_1,
  IS_REPEAT_2,
  MATCH_LENGTH,
  MATCH_MIN,
  POSITION_STATES,
  REPEAT_LENGTH,
  SLOTS,
  SPECIAL,
} from './layout.ts';

export function newMatch(s: State): Code {
  return [
    set(s.repeat3, get(s.repeat2)),
    set(s.repeat2, get(s.repeat1)),
    set(s.repeat1, get(s.repeat0)),
    set(s.lengthBase, i32(2 * MATCH_LENGTH)),
    set(s.isMatch, i32(1)),
    set(s.state, choose('i32', get(s.after), i32(7), i32(10))),
  ];
}

/** Puts the distance that is repeated first; a length of 1 where it is for one byte only. */
export function repeatedMatch(s: State): Code {
  const { repeat0, repeat1, repeat2, repeat3, other, state, after } = s;
  const choice = (index: number, zero: Code, one: Code) =>
    bit(s, at(add(i32(index), get(state))), zero, one);
  const first = (taken: Local, shifted: Code) => [
    set(other, get(taken)),
    shifted,
    set(repeat1, get(repeat0)),
    set(repeat0, get(other)),
  ];
  const two = set(repeat2, get(repeat1));
  const three = [set(repeat3, get(repeat2)), two];
  return [
    set(s.lengthBase, i32(2 * REPEAT_LENGTH)),
    set(s.isMatch, i32(0)),
    choice(
      IS_REPEAT_0,
      bit(s, at(add(i32(IS_REPEAT_0_LONG), byPosition(s))), set(s.length, i32(1)), []),
      choice(
        IS_REPEAT_1,
        first(repeat1, []),
        choice(IS_REPEAT_2, first(repeat2, two), first(repeat3, three)),
      ),
    ),
    set(
      state,
      choose('i32', get(after), add(i32(8), op('i32.eq', get(s.length), i32(1))), i32(11)),
    ),
  ];
}

/** The length of a match, by the set of probabilities at `lengthBase`. */
export function length(s: State): Code {
  const base = get(s.lengthBase);
  const middle = 2 + POSITION_STATES * 8;
  const short = (offset: number) => add(base, i32(2 * offset), shl(get(s.position), i32(4)));
  const take = (least: number) => set(s.length, add(get(s.symbol), i32(least)));
  return bit(
    s,
    base,
    [tree(s, short(2), 8), take(MATCH_MIN - 8)],
    bit(
      s,
      add(base, i32(2)),
      [tree(s, short(middle), 8), take(MATCH_MIN + 8 - 8)],
      [
        tree(s, add(base, i32(2 * (middle + POSITION_STATES * 8))), 256),
        take(MATCH_MIN + 16 - 256),
      ],
    ),
  );
}

/** The distance, minus one, into `repeat0`. */
export function distance(s: State): Code {
  const { symbol, bits, context, repeat0, value } = s;
  const least = sub(get(s.length), i32(MATCH_MIN));
  const group = choose('i32', below(least, i32(3)), least, i32(3));
  const direct = label('direct');
  return [
    tree(s, add(i32(2 * SLOTS), shl(group, i32(7))), 64),
    set(context, sub(get(symbol), i32(64))),
    when(below(get(context), i32(4)), set(repeat0, get(context)), [
      set(bits, sub(shr(get(context), i32(1)), i32(1))),
      set(repeat0, shl(or(i32(2), and(get(context), i32(1))), get(bits))),
      when(
        below(get(context), i32(14)),
        reverseTree(s, at(sub(add(i32(SPECIAL), get(repeat0)), get(context)))),
        [
          set(value, i32(0)),
          set(bits, sub(get(bits), i32(4))),
          loop(direct, directBit(s), set(bits, sub(get(bits), i32(1))), brIf(get(bits), direct)),
          advance(repeat0, shl(get(value), i32(4))),
          set(bits, i32(4)),
          reverseTree(s, i32(2 * ALIGN)),
        ],
      ),
    ]),
  ];
}

/** Adds `bits` bits to `repeat0`, the lowest first. */
function reverseTree(s: State, base: Code): Code {
  const { index, bits, symbol, repeat0 } = s;
  const next = label('next');
  return [
    set(s.base, base),
    set(symbol, i32(1)),
    set(index, i32(0)),
    loop(
      next,
      symbolBit(s, get(s.base), [], advance(repeat0, shl(i32(1), get(index)))),
      advance(index, i32(1)),
      brIf(below(get(index), get(bits)), next),
    ),
  ];
}

/** A bit without a probability, put below those of `value`. */
function directBit(s: State): Code {
  const { range, code, value } = s;
  return [
    normalize(s),
    set(range, shr(get(range), i32(1))),
    set(value, shl(get(value), i32(1))),
    when(op('i32.ge_u', get(code), get(range)), [
      set(code, sub(get(code), get(range))),
      set(value, or(get(value), i32(1))),
    ]),
  ];
}

/** Copies the match: by eight bytes, and a little further, where the source lies as far behind. */
export function copy(s: State): Code {
  const { to, end, outEnd, value, repeat0 } = s;
  const eight = label('eight');
  const one = label('one');
  const step = (width: 1 | 8, next: typeof one) =>
    loop(
      next,
      width === 8
        ? store('i64.store', get(to), load('i64.load', get(value)))
        : store('i32.store8', get(to), load('i32.load8_u', get(value))),
      advance(to, i32(width)),
      advance(value, i32(width)),
      brIf(below(get(to), get(end)), next),
    );
  return [
    set(end, add(get(to), get(s.length))),
    when(op('i32.gt_u', get(end), get(outEnd)), set(end, get(outEnd))),
    set(value, sub(sub(get(to), get(repeat0)), i32(1))),
    when(op('i32.ge_u', get(repeat0), i32(7)), step(8, eight), step(1, one)),
    set(to, get(end)),
  ];
}
