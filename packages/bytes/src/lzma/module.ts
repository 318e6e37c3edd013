import {
  br,
  brIf,
  type Code,
  type FunctionScope,
  get,
  i32,
  i64,
  label,
  load,
  loop,
  ModuleBuilder,
  op,
  ret,
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
  FAILED,
  failIf,
  or,
  type State,
  shl,
  stateOf,
  sub,
} from './bits.ts';
import {
  AFTER_LITERAL,
  HALF,
  IS_MATCH,
  IS_REPEAT,
  LITERAL_BITS_MAX,
  LITERAL_SIZE,
  LITERALS,
} from './layout.ts';
import { literal } from './literal.ts';
import { copy, distance, length, newMatch, repeatedMatch } from './match.ts';

const signature = { params: ['i32', 'i32', 'i32', 'i32', 'i32'], results: ['i32'] } as const;

/** Probabilities lie at the beginning of the memory, two bytes each. */
export const LZMA_RESERVED =
  Math.ceil((2 * (LITERALS + (LITERAL_SIZE << LITERAL_BITS_MAX))) / 1024) * 1024;

/**
 * The decoder of `../micro-lzma.ts` as a WebAssembly module: exports `decode(input, inputEnd, output,
 * outputEnd, partial)`, which gives 0 where the output is full.
 */
export function lzmaModule(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder(1);
  builder.function(signature, body, 'decode');
  return builder.bytes();
}

function body(scope: FunctionScope): Code {
  const s = stateOf(scope);
  const next = label('next');
  return [
    prepare(s),
    loop(
      next,
      when(op('i32.ge_u', get(s.to), get(s.outEnd)), ret(i32(0))),
      set(s.position, and(sub(get(s.to), get(s.outStart)), get(s.positionMask))),
      bit(s, at(add(i32(IS_MATCH), byPosition(s))), [literal(s), br(next)], []),
      set(s.after, below(get(s.state), i32(AFTER_LITERAL))),
      set(s.length, i32(0)),
      bit(s, at(add(i32(IS_REPEAT), get(s.state))), newMatch(s), repeatedMatch(s)),
      when(op('i32.eqz', get(s.length)), length(s)),
      when(get(s.isMatch), distance(s)),
      failIf(op('i32.ge_u', get(s.repeat0), sub(get(s.to), get(s.outStart)))),
      copy(s),
      br(next),
    ),
    i32(FAILED),
  ];
}

function prepare(s: State): Code {
  const { code, range, symbol, value, at: input, inEnd, to, outStart } = s;
  const fill = label('fill');
  const bits = s.literalBits;
  const byte = (offset: number) => load('i32.load8_u', get(input), offset);
  return [
    failIf(below(sub(get(inEnd), get(input)), i32(5))),
    set(symbol, and(op('i32.xor', byte(0), i32(0xff)), i32(0xff))),
    failIf(op('i32.ge_u', get(symbol), i32(225))),
    set(bits, op('i32.rem_u', get(symbol), i32(9))),
    set(value, op('i32.rem_u', op('i32.div_u', get(symbol), i32(9)), i32(5))),
    failIf(op('i32.gt_u', add(get(bits), get(value)), i32(LITERAL_BITS_MAX))),
    set(s.literalPositionMask, sub(shl(i32(1), get(value)), i32(1))),
    set(s.positionMask, sub(shl(i32(1), op('i32.div_u', get(symbol), i32(45))), i32(1))),
    set(
      code,
      or(or(shl(byte(1), i32(24)), shl(byte(2), i32(16))), or(shl(byte(3), i32(8)), byte(4))),
    ),
    set(range, i32(-1)),
    advance(input, i32(5)),
    set(to, get(outStart)),
    // All probabilities are a half: the whole reserved memory is filled, eight bytes at a time.
    set(s.index, i32(0)),
    loop(
      fill,
      store('i64.store', get(s.index), i64(BigInt(HALF) * 0x0001_0001_0001_0001n)),
      advance(s.index, i32(8)),
      brIf(below(get(s.index), i32(LZMA_RESERVED)), fill),
    ),
  ];
}
