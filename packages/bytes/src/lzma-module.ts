import {
  ADAPT,
  AFTER_LITERAL,
  ALIGN,
  HALF,
  IS_MATCH,
  IS_REPEAT,
  IS_REPEAT_0,
  IS_REPEAT_0_LONG,
  IS_REPEAT_1,
  IS_REPEAT_2,
  LITERAL_BITS_MAX,
  LITERAL_SIZE,
  LITERALS,
  MATCH_LENGTH,
  MATCH_MIN,
  POSITION_STATES,
  PROBABILITY_BITS,
  REPEAT_LENGTH,
  SLOTS,
  SPECIAL,
  TOP,
} from './lzma-layout.ts';
import {
  block,
  br,
  brIf,
  type Code,
  choose,
  type FunctionScope,
  get,
  i32,
  i64,
  type Local,
  label,
  load,
  loop,
  ModuleBuilder,
  op,
  ret,
  set,
  store,
  when,
} from './wasm/index.ts';

const FAILED = 1;
const signature = { params: ['i32', 'i32', 'i32', 'i32', 'i32'], results: ['i32'] } as const;

/** Probabilities lie at the beginning of the memory, two bytes each. */
export const LZMA_RESERVED =
  Math.ceil((2 * (LITERALS + (LITERAL_SIZE << LITERAL_BITS_MAX))) / 1024) * 1024;

/**
 * The decoder of `micro-lzma.ts` as a WebAssembly module: exports `decode(input, inputEnd, output,
 * outputEnd, partial)`, which gives 0 where the output is full.
 */
export function lzmaModule(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder(1);
  builder.function(signature, body, 'decode');
  return builder.bytes();
}

const names = [
  'range code to state position after repeat0 repeat1 repeat2 repeat3 length lengthBase isMatch',
  'address probability bound symbol base context expected bits value index other end',
]
  .join(' ')
  .split(' ');

type State = Readonly<Record<string, Local>>;

function stateOf(scope: FunctionScope): State {
  const [at, inEnd, outStart, outEnd] = scope.params as [Local, Local, Local, Local];
  const own = names.map((name) => [name, scope.local('i32')] as const);
  const settings = ['literalBits', 'literalPositionMask', 'positionMask'].map(
    (name) => [name, scope.local('i32')] as const,
  );
  return { at, inEnd, outStart, outEnd, ...Object.fromEntries([...own, ...settings]) };
}

const add = (...terms: readonly Code[]) => terms.reduce((sum, term) => op('i32.add', sum, term));
const sub = (a: Code, b: Code) => op('i32.sub', a, b);
const mul = (a: Code, b: number) => op('i32.mul', a, i32(b));
const shl = (a: Code, b: Code) => op('i32.shl', a, b);
const shr = (a: Code, b: Code) => op('i32.shr_u', a, b);
const and = (a: Code, b: Code) => op('i32.and', a, b);
const or = (a: Code, b: Code) => op('i32.or', a, b);
const below = (a: Code, b: Code) => op('i32.lt_u', a, b);
const advance = (local: Local, by: Code) => set(local, add(get(local), by));
const failIf = (condition: Code) => when(condition, ret(i32(FAILED)));

function body(scope: FunctionScope): Code {
  const s = stateOf(scope);
  const next = label('next');
  return [
    prepare(s),
    loop(
      next,
      when(op('i32.ge_u', get(s['to']!), get(s['outEnd']!)), ret(i32(0))),
      set(s['position']!, and(sub(get(s['to']!), get(s['outStart']!)), get(s['positionMask']!))),
      bit(s, at(add(i32(IS_MATCH), byPosition(s))), [literal(s), br(next)], []),
      set(s['after']!, below(get(s['state']!), i32(AFTER_LITERAL))),
      set(s['length']!, i32(0)),
      bit(s, at(add(i32(IS_REPEAT), get(s['state']!))), newMatch(s), repeatedMatch(s)),
      when(op('i32.eqz', get(s['length']!)), length(s)),
      when(get(s['isMatch']!), distance(s)),
      failIf(op('i32.ge_u', get(s['repeat0']!), sub(get(s['to']!), get(s['outStart']!)))),
      copy(s),
      br(next),
    ),
    i32(FAILED),
  ];
}

/** Bytes of a probability's place. */
function at(index: Code): Code {
  return shl(index, i32(1));
}

function byPosition(s: State): Code {
  return add(mul(get(s['state']!), POSITION_STATES), get(s['position']!));
}

function prepare(s: State): Code {
  const { code, range, symbol, value, at: input, inEnd, to, outStart } = s as Record<string, Local>;
  const fill = label('fill');
  const bits = s['literalBits']!;
  const byte = (offset: number) => load('i32.load8_u', get(input!), offset);
  return [
    failIf(below(sub(get(inEnd!), get(input!)), i32(5))),
    set(symbol!, and(op('i32.xor', byte(0), i32(0xff)), i32(0xff))),
    failIf(op('i32.ge_u', get(symbol!), i32(225))),
    set(bits, op('i32.rem_u', get(symbol!), i32(9))),
    set(value!, op('i32.rem_u', op('i32.div_u', get(symbol!), i32(9)), i32(5))),
    failIf(op('i32.gt_u', add(get(bits), get(value!)), i32(LITERAL_BITS_MAX))),
    set(s['literalPositionMask']!, sub(shl(i32(1), get(value!)), i32(1))),
    set(s['positionMask']!, sub(shl(i32(1), op('i32.div_u', get(symbol!), i32(45))), i32(1))),
    set(
      code!,
      or(or(shl(byte(1), i32(24)), shl(byte(2), i32(16))), or(shl(byte(3), i32(8)), byte(4))),
    ),
    set(range!, i32(-1)),
    advance(input!, i32(5)),
    set(to!, get(outStart!)),
    // All probabilities are a half: the whole reserved memory is filled, eight bytes at a time.
    set(s['index']!, i32(0)),
    loop(
      fill,
      store('i64.store', get(s['index']!), i64(BigInt(HALF) * 0x0001_0001_0001_0001n)),
      advance(s['index']!, i32(8)),
      brIf(below(get(s['index']!), i32(LZMA_RESERVED)), fill),
    ),
  ];
}

/** Gives the range another byte where it needs one. */
function normalize(s: State): Code {
  const { range, code, at: input, inEnd } = s as Record<string, Local>;
  return when(below(get(range!), i32(TOP)), [
    failIf(op('i32.ge_u', get(input!), get(inEnd!))),
    set(range!, shl(get(range!), i32(8))),
    set(code!, or(shl(get(code!), i32(8)), load('i32.load8_u', get(input!)))),
    advance(input!, i32(1)),
  ]);
}

/** Decodes a bit by the probability at an address, and does what belongs to it. */
function bit(s: State, address: Code, zero: Code, one: Code): Code {
  const { range, code, bound, probability: p, address: place } = s as Record<string, Local>;
  const rest = sub(i32(2 * HALF), get(p!));
  return [
    set(place!, address),
    normalize(s),
    set(p!, load('i32.load16_u', get(place!))),
    set(bound!, op('i32.mul', shr(get(range!), i32(PROBABILITY_BITS)), get(p!))),
    when(
      below(get(code!), get(bound!)),
      [
        set(range!, get(bound!)),
        store('i32.store16', get(place!), add(get(p!), shr(rest, i32(ADAPT)))),
        zero,
      ],
      [
        set(range!, sub(get(range!), get(bound!))),
        set(code!, sub(get(code!), get(bound!))),
        store('i32.store16', get(place!), sub(get(p!), shr(get(p!), i32(ADAPT)))),
        one,
      ],
    ),
  ];
}

/** Puts a bit below those of `symbol`; its place in the tree at `base` is the symbol so far. */
function symbolBit(s: State, base: Code, zero: Code = [], one: Code = []): Code {
  const symbol = s['symbol']!;
  const shifted = shl(get(symbol), i32(1));
  return bit(
    s,
    add(base, at(get(symbol))),
    [set(symbol, shifted), zero],
    [set(symbol, or(shifted, i32(1))), one],
  );
}

/** Bits into `symbol` until it reaches `limit`, which stands above them. */
function tree(s: State, base: Code, limit: number): Code {
  const next = label('next');
  return [
    set(s['base']!, base),
    set(s['symbol']!, i32(1)),
    loop(next, symbolBit(s, get(s['base']!)), brIf(below(get(s['symbol']!), i32(limit)), next)),
  ];
}

function literal(s: State): Code {
  const {
    to,
    outStart,
    state,
    symbol,
    base,
    value,
    literalBits: bits,
  } = s as Record<string, Local>;
  const before = choose(
    'i32',
    op('i32.gt_u', get(to!), get(outStart!)),
    load('i32.load8_u', sub(get(to!), i32(1))),
    i32(0),
  );
  const position = and(sub(get(to!), get(outStart!)), get(s['literalPositionMask']!));
  const next = label('next');
  const done = label('done');
  return [
    set(value!, add(shl(position, get(bits!)), shr(before, sub(i32(8), get(bits!))))),
    set(base!, at(add(i32(LITERALS), mul(get(value!), LITERAL_SIZE)))),
    set(symbol!, i32(1)),
    when(op('i32.ge_u', get(state!), i32(AFTER_LITERAL)), matchedLiteral(s)),
    block(
      done,
      loop(
        next,
        brIf(op('i32.ge_u', get(symbol!), i32(0x100)), done),
        symbolBit(s, get(base!)),
        br(next),
      ),
    ),
    store('i32.store8', get(to!), get(symbol!)),
    advance(to!, i32(1)),
    set(
      state!,
      choose(
        'i32',
        below(get(state!), i32(4)),
        i32(0),
        choose(
          'i32',
          below(get(state!), i32(10)),
          sub(get(state!), i32(3)),
          sub(get(state!), i32(6)),
        ),
      ),
    ),
  ];
}

/** Bits of a literal by those of the byte at the last distance, as long as they are the same. */
function matchedLiteral(s: State): Code {
  const { value, expected, symbol, base } = s as Record<string, Local>;
  const done = label('done');
  const next = label('next');
  const from = sub(sub(get(s['to']!), get(s['repeat0']!)), i32(1));
  return [
    set(value!, load('i32.load8_u', from)),
    block(
      done,
      loop(
        next,
        set(value!, shl(get(value!), i32(1))),
        set(expected!, and(get(value!), i32(0x100))),
        symbolBit(
          s,
          add(get(base!), at(add(i32(0x100), get(expected!)))),
          brIf(get(expected!), done),
          brIf(op('i32.eqz', get(expected!)), done),
        ),
        brIf(below(get(symbol!), i32(0x100)), next),
      ),
    ),
  ];
}

function newMatch(s: State): Code {
  return [
    set(s['repeat3']!, get(s['repeat2']!)),
    set(s['repeat2']!, get(s['repeat1']!)),
    set(s['repeat1']!, get(s['repeat0']!)),
    set(s['lengthBase']!, i32(2 * MATCH_LENGTH)),
    set(s['isMatch']!, i32(1)),
    set(s['state']!, choose('i32', get(s['after']!), i32(7), i32(10))),
  ];
}

/** Puts the distance that is repeated first; a length of 1 where it is for one byte only. */
function repeatedMatch(s: State): Code {
  const { repeat0, repeat1, repeat2, repeat3, other, state, after } = s as Record<string, Local>;
  const choice = (index: number, zero: Code, one: Code) =>
    bit(s, at(add(i32(index), get(state!))), zero, one);
  const first = (taken: Local, shifted: Code) => [
    set(other!, get(taken)),
    shifted,
    set(repeat1!, get(repeat0!)),
    set(repeat0!, get(other!)),
  ];
  const two = set(repeat2!, get(repeat1!));
  const three = [set(repeat3!, get(repeat2!)), two];
  return [
    set(s['lengthBase']!, i32(2 * REPEAT_LENGTH)),
    set(s['isMatch']!, i32(0)),
    choice(
      IS_REPEAT_0,
      bit(s, at(add(i32(IS_REPEAT_0_LONG), byPosition(s))), set(s['length']!, i32(1)), []),
      choice(
        IS_REPEAT_1,
        first(repeat1!, []),
        choice(IS_REPEAT_2, first(repeat2!, two), first(repeat3!, three)),
      ),
    ),
    set(
      state!,
      choose('i32', get(after!), add(i32(8), op('i32.eq', get(s['length']!), i32(1))), i32(11)),
    ),
  ];
}

/** The length of a match, by the set of probabilities at `lengthBase`. */
function length(s: State): Code {
  const base = get(s['lengthBase']!);
  const middle = 2 + POSITION_STATES * 8;
  const short = (offset: number) => add(base, i32(2 * offset), shl(get(s['position']!), i32(4)));
  const take = (least: number) => set(s['length']!, add(get(s['symbol']!), i32(least)));
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
function distance(s: State): Code {
  const { symbol, bits, context, repeat0, value } = s as Record<string, Local>;
  const least = sub(get(s['length']!), i32(MATCH_MIN));
  const group = choose('i32', below(least, i32(3)), least, i32(3));
  const direct = label('direct');
  return [
    tree(s, add(i32(2 * SLOTS), shl(group, i32(7))), 64),
    set(context!, sub(get(symbol!), i32(64))),
    when(below(get(context!), i32(4)), set(repeat0!, get(context!)), [
      set(bits!, sub(shr(get(context!), i32(1)), i32(1))),
      set(repeat0!, shl(or(i32(2), and(get(context!), i32(1))), get(bits!))),
      when(
        below(get(context!), i32(14)),
        reverseTree(s, at(sub(add(i32(SPECIAL), get(repeat0!)), get(context!)))),
        [
          set(value!, i32(0)),
          set(bits!, sub(get(bits!), i32(4))),
          loop(direct, directBit(s), set(bits!, sub(get(bits!), i32(1))), brIf(get(bits!), direct)),
          advance(repeat0!, shl(get(value!), i32(4))),
          set(bits!, i32(4)),
          reverseTree(s, i32(2 * ALIGN)),
        ],
      ),
    ]),
  ];
}

/** Adds `bits` bits to `repeat0`, the lowest first. */
function reverseTree(s: State, base: Code): Code {
  const { index, bits, symbol, repeat0 } = s as Record<string, Local>;
  const next = label('next');
  return [
    set(s['base']!, base),
    set(symbol!, i32(1)),
    set(index!, i32(0)),
    loop(
      next,
      symbolBit(s, get(s['base']!), [], advance(repeat0!, shl(i32(1), get(index!)))),
      advance(index!, i32(1)),
      brIf(below(get(index!), get(bits!)), next),
    ),
  ];
}

/** A bit without a probability, put below those of `value`. */
function directBit(s: State): Code {
  const { range, code, value } = s as Record<string, Local>;
  return [
    normalize(s),
    set(range!, shr(get(range!), i32(1))),
    set(value!, shl(get(value!), i32(1))),
    when(op('i32.ge_u', get(code!), get(range!)), [
      set(code!, sub(get(code!), get(range!))),
      set(value!, or(get(value!), i32(1))),
    ]),
  ];
}

/** Copies the match: by eight bytes, and a little further, where the source lies as far behind. */
function copy(s: State): Code {
  const { to, end, outEnd, value, repeat0 } = s as Record<string, Local>;
  const eight = label('eight');
  const one = label('one');
  const step = (width: 1 | 8, next: typeof one) =>
    loop(
      next,
      width === 8
        ? store('i64.store', get(to!), load('i64.load', get(value!)))
        : store('i32.store8', get(to!), load('i32.load8_u', get(value!))),
      advance(to!, i32(width)),
      advance(value!, i32(width)),
      brIf(below(get(to!), get(end!)), next),
    );
  return [
    set(end!, add(get(to!), get(s['length']!))),
    when(op('i32.gt_u', get(end!), get(outEnd!)), set(end!, get(outEnd!))),
    set(value!, sub(sub(get(to!), get(repeat0!)), i32(1))),
    when(op('i32.ge_u', get(repeat0!), i32(7)), step(8, eight), step(1, one)),
    set(to!, get(end!)),
  ];
}
