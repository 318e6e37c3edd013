import {
  block,
  br,
  brIf,
  type Code,
  choose,
  get,
  i32,
  label,
  load,
  loop,
  op,
  set,
  store,
  when,
} from '../wasm/index.ts';
import { add, advance, and, at, below, mul, type State, shl, shr, sub, symbolBit } from './bits.ts';
import { AFTER_LITERAL, LITERAL_SIZE, LITERALS } from './layout.ts';

export function literal(s: State): Code {
  const { to, outStart, state, symbol, base, value, literalBits: bits } = s;
  const before = choose(
    'i32',
    op('i32.gt_u', get(to), get(outStart)),
    load('i32.load8_u', sub(get(to), i32(1))),
    i32(0),
  );
  const position = and(sub(get(to), get(outStart)), get(s.literalPositionMask));
  const next = label('next');
  const done = label('done');
  return [
    set(value, add(shl(position, get(bits)), shr(before, sub(i32(8), get(bits))))),
    set(base, at(add(i32(LITERALS), mul(get(value), LITERAL_SIZE)))),
    set(symbol, i32(1)),
    when(op('i32.ge_u', get(state), i32(AFTER_LITERAL)), matchedLiteral(s)),
    block(
      done,
      loop(
        next,
        brIf(op('i32.ge_u', get(symbol), i32(0x100)), done),
        symbolBit(s, get(base)),
        br(next),
      ),
    ),
    store('i32.store8', get(to), get(symbol)),
    advance(to, i32(1)),
    set(
      state,
      choose(
        'i32',
        below(get(state), i32(4)),
        i32(0),
        choose('i32', below(get(state), i32(10)), sub(get(state), i32(3)), sub(get(state), i32(6))),
      ),
    ),
  ];
}

/** Bits of a literal by those of the byte at the last distance, as long as they are the same. */
function matchedLiteral(s: State): Code {
  const { value, expected, symbol, base } = s;
  const done = label('done');
  const next = label('next');
  const from = sub(sub(get(s.to), get(s.repeat0)), i32(1));
  return [
    set(value, load('i32.load8_u', from)),
    block(
      done,
      loop(
        next,
        set(value, shl(get(value), i32(1))),
        set(expected, and(get(value), i32(0x100))),
        symbolBit(
          s,
          add(get(base), at(add(i32(0x100), get(expected)))),
          brIf(get(expected), done),
          brIf(op('i32.eqz', get(expected)), done),
        ),
        brIf(below(get(symbol), i32(0x100)), next),
      ),
    ),
  ];
}
