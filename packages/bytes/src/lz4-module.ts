import type { FunctionScope } from './wasm/index.ts';
import {
  block,
  br,
  brIf,
  type Code,
  get,
  i32,
  type Local,
  label,
  load,
  loop,
  ModuleBuilder,
  memoryCopy,
  op,
  ret,
  set,
  store,
  tee,
  when,
} from './wasm/index.ts';

const FAILED = 1;
const signature = { params: ['i32', 'i32', 'i32', 'i32', 'i32'], results: ['i32'] } as const;

/**
 * The loop of `lz4.ts` as a WebAssembly module. It copies eight bytes at a time, also beyond the end of
 * what is copied: the memory has room behind input and output. Exports `decode(input, inputEnd, output,
 * outputEnd, partial)`, which gives 0 where the output is full.
 */
export function lz4Module(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder(1);
  builder.function(signature, body, 'decode');
  return builder.bytes();
}

interface State {
  readonly at: Local;
  readonly inEnd: Local;
  readonly outStart: Local;
  readonly outEnd: Local;
  readonly partial: Local;
  readonly to: Local;
  readonly token: Local;
  readonly length: Local;
  readonly end: Local;
  readonly from: Local;
  readonly distance: Local;
}

function body(scope: FunctionScope): Code {
  const [at, inEnd, outStart, outEnd, partial] = scope.params as [
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const local = () => scope.local('i32');
  const own = { to: local(), token: local(), length: local(), end: local(), from: local() };
  const s: State = { at, inEnd, outStart, outEnd, partial, ...own, distance: local() };
  const sequence = label('sequence');
  return [
    set(s.to, get(s.outStart)),
    loop(
      sequence,
      failIf(op('i32.ge_u', get(s.at), get(s.inEnd))),
      set(s.token, load('i32.load8_u', get(s.at))),
      advance(s.at, i32(1)),
      ...literals(s),
      when(op('i32.eq', get(s.at), get(s.inEnd)), ret(op('i32.ne', get(s.to), get(s.outEnd)))),
      when(op('i32.and', get(s.partial), op('i32.eq', get(s.to), get(s.outEnd))), ret(i32(0))),
      ...match(s),
      br(sequence),
    ),
    i32(FAILED),
  ];
}

function literals(s: State): Code[] {
  return [
    set(s.length, op('i32.shr_u', get(s.token), i32(4))),
    moreLength(s),
    // Lengths are below 2^31: sums do not wrap.
    set(s.end, op('i32.add', get(s.to), get(s.length))),
    when(op('i32.gt_u', get(s.end), get(s.outEnd)), [
      failIf(op('i32.eqz', get(s.partial))),
      set(s.length, op('i32.sub', get(s.outEnd), get(s.to))),
      set(s.end, get(s.outEnd)),
    ]),
    failIf(op('i32.gt_u', op('i32.add', get(s.at), get(s.length)), get(s.inEnd))),
    set(s.from, get(s.at)),
    advance(s.at, get(s.length)),
    when(
      op('i32.gt_u', get(s.length), i32(256)),
      [memoryCopy(get(s.to), get(s.from), get(s.length)), set(s.to, get(s.end))],
      // Nearly always at least one, and never more than what lies behind.
      copyForward(s),
    ),
  ];
}

function match(s: State): Code[] {
  return [
    failIf(op('i32.gt_u', op('i32.add', get(s.at), i32(2)), get(s.inEnd))),
    set(s.distance, load('i32.load16_u', get(s.at))),
    advance(s.at, i32(2)),
    // A distance of 0 becomes the largest number.
    failIf(
      op(
        'i32.ge_u',
        op('i32.sub', get(s.distance), i32(1)),
        op('i32.sub', get(s.to), get(s.outStart)),
      ),
    ),
    set(s.length, op('i32.and', get(s.token), i32(15))),
    moreLength(s),
    set(s.end, op('i32.add', get(s.to), op('i32.add', get(s.length), i32(4)))),
    when(op('i32.gt_u', get(s.end), get(s.outEnd)), [
      failIf(op('i32.eqz', get(s.partial))),
      set(s.end, get(s.outEnd)),
    ]),
    set(s.from, op('i32.sub', get(s.to), get(s.distance))),
    when(op('i32.lt_u', get(s.distance), i32(8)), spread(s)),
    copyForward(s),
  ];
}

/** Adds the bytes that follow where `length` is 15. Bounded by the input, so by 255 times 1 MiB. */
function moreLength(s: State): Code {
  const more = label('more');
  const byte = s.from;
  return when(
    op('i32.eq', get(s.length), i32(15)),
    loop(
      more,
      failIf(op('i32.ge_u', get(s.at), get(s.inEnd))),
      set(s.length, op('i32.add', get(s.length), tee(byte, load('i32.load8_u', get(s.at))))),
      advance(s.at, i32(1)),
      brIf(op('i32.eq', get(byte), i32(255)), more),
    ),
  );
}

/** Copies from `from` to `to` up to `end` and a little further; they are 8 bytes apart, or disjoint. */
function copyForward(s: State): Code {
  const done = label('done');
  const copy = label('copy');
  return [
    block(
      done,
      loop(
        copy,
        store('i64.store', get(s.to), load('i64.load', get(s.from))),
        store('i64.store', get(s.to), load('i64.load', get(s.from), 8), 8),
        brIf(op('i32.le_u', get(s.end), op('i32.add', get(s.to), i32(16))), done),
        advance(s.to, i32(16)),
        advance(s.from, i32(16)),
        br(copy),
      ),
    ),
    set(s.to, get(s.end)),
  ];
}

/**
 * Where the source is less than 8 bytes behind: writes the first 8 bytes one by one, and puts the
 * source so many times the distance back that it is 8 or more.
 */
function spread(s: State): Code {
  const byte = (offset: number) =>
    store('i32.store8', get(s.to), load('i32.load8_u', get(s.from), offset), offset);
  const times = op('i32.div_u', op('i32.add', get(s.distance), i32(7)), get(s.distance));
  return [
    Array.from({ length: 8 }, (_, offset) => byte(offset)),
    advance(s.to, i32(8)),
    set(s.from, op('i32.sub', get(s.to), op('i32.mul', get(s.distance), times))),
    // Shorter matches than 8 are done; what was written too much is written over.
    when(op('i32.le_u', get(s.end), get(s.to)), [set(s.to, get(s.end))]),
  ];
}

function failIf(condition: Code): Code {
  return when(condition, ret(i32(FAILED)));
}

function advance(local: Local, by: Code): Code {
  return set(local, op('i32.add', get(local), by));
}
