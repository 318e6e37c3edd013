import type { FloatOperation } from '../../isa/ir.ts';
import {
  br,
  brIf,
  type Code,
  choose,
  f32,
  f64,
  get,
  i32,
  i64,
  type Label,
  type Local,
  op,
  set,
  when,
} from '../../wasm/code.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import { relaxedMultiplyAdd } from './fused.ts';
import { add32, add64, and32, and64, extend, wrap } from './slots.ts';

/**
 * Floating point by the host's own arithmetic, where that gives the same result and flags. The
 * host rounds to nearest even and tells no flags. So: where the result is finite and not tiny, the
 * only flag can be NX; that is no news where NX is set already, else the result must be shown to
 * be exact. All other cases go to `slow`.
 */
export interface QuickContext {
  local(type: ValueType): Local;
  /** i32: not 0 where frm is RNE; where NX is set. */
  readonly nearest: Local;
  readonly inexact: Local;
  /** The rm field as i32, for instructions that have one. */
  readonly roundingMode: Code | undefined;
  readonly fused: boolean;
  /** Where to go when the exact way is needed. */
  readonly slow: Label;
}

export function quickFloat(
  operation: FloatOperation,
  args: readonly Code[],
  context: QuickContext,
): Code {
  const quick = new Quick(operation.precision, context);
  const [a = [], b = [], c = []] = args;
  switch (operation.name) {
    case 'add':
    case 'sub':
      return quick.sum(operation.name, a, b);
    case 'mul':
      return quick.product(a, b);
    case 'div':
      return quick.quotient(a, b);
    case 'sqrt':
      return quick.root(a);
    case 'madd':
    case 'msub':
    case 'nmsub':
    case 'nmadd':
      return quick.multiplyAdd(operation.name, a, b, c);
    case 'min':
    case 'max':
      return quick.pick(operation.name === 'min' ? 'lt' : 'gt', a, b);
    case 'eq':
    case 'lt':
    case 'le':
      return quick.compare(operation.name, a, b);
    case 'convert':
      return operation.precision === 'd' ? quick.widen(a) : quick.narrow(a);
    case 'toW':
    case 'toWU':
    case 'toL':
    case 'toLU':
      return quick.toInteger(operation.name, a);
    case 'fromW':
    case 'fromWU':
    case 'fromL':
    case 'fromLU':
      return quick.fromInteger(operation.name, a);
    case 'class':
      return br(context.slow);
  }
}

const BOXED = 0xffffffff00000000n;

/** Ranges that truncate into the type, exclusive; and how its values come and go. */
const integers = {
  toW: { above: -(2 ** 31) - 1, below: 2 ** 31, truncate: 'i32.trunc_sat_f64_s' },
  toWU: { above: -1, below: 2 ** 32, truncate: 'i32.trunc_sat_f64_u' },
  // The next double below -2^63.
  toL: { above: -(2 ** 63) - 2048, below: 2 ** 63, truncate: 'i64.trunc_sat_f64_s' },
  toLU: { above: -1, below: 2 ** 64, truncate: 'i64.trunc_sat_f64_u' },
} as const;

class Quick {
  readonly #double: boolean;
  readonly #type: 'f32' | 'f64';
  readonly #context: QuickContext;

  constructor(precision: 's' | 'd', context: QuickContext) {
    this.#double = precision === 'd';
    this.#type = this.#double ? 'f64' : 'f32';
    this.#context = context;
  }

  /** Exact where the error that TwoSum computes is zero. Sums are never tiny and inexact. */
  sum(name: 'add' | 'sub', a: Code, b: Code): Code {
    const t = this.#type;
    const { x, y, r } = this.#operands();
    const error = this.#context.local(t);
    const flip = name === 'sub' ? set(y, op(`${t}.neg`, get(y))) : [];
    const back = op(`${t}.sub`, get(r), get(x));
    return [
      this.#nearest(),
      this.#load(x, a),
      this.#load(y, b),
      flip,
      set(r, op(`${t}.add`, get(x), get(y))),
      this.#slowUnless(this.#isFinite(r)),
      this.#unlessInexact([
        set(error, back),
        this.#slowUnless(
          op(
            'i32.and',
            op(`${t}.eq`, op(`${t}.sub`, get(y), get(error)), this.#constant(0)),
            op(`${t}.eq`, op(`${t}.sub`, get(r), get(error)), get(x)),
          ),
        ),
      ]),
      this.#result(r),
    ];
  }

  /** Exact where both factors are short. */
  product(a: Code, b: Code): Code {
    const t = this.#type;
    const { x, y, r } = this.#operands();
    return [
      this.#nearest(),
      this.#load(x, a),
      this.#load(y, b),
      set(r, op(`${t}.mul`, get(x), get(y))),
      this.#slowUnless(this.#isSafe(r, [x, y])),
      this.#unlessInexact(this.#slowUnless(this.#areShort(x, y))),
      this.#result(r),
    ];
  }

  /** Exact where quotient and divisor are short and their product is the dividend. */
  quotient(a: Code, b: Code): Code {
    const t = this.#type;
    const { x, y, r } = this.#operands();
    const exact = op(
      'i32.and',
      this.#areShort(r, y),
      op(`${t}.eq`, op(`${t}.mul`, get(r), get(y)), get(x)),
    );
    return [
      this.#nearest(),
      this.#load(x, a),
      this.#load(y, b),
      set(r, op(`${t}.div`, get(x), get(y))),
      this.#slowUnless(this.#isSafe(r, [x])),
      this.#unlessInexact(this.#slowUnless(exact)),
      this.#result(r),
    ];
  }

  root(a: Code): Code {
    const t = this.#type;
    const x = this.#context.local(t);
    const r = this.#context.local(t);
    const exact = op(
      'i32.and',
      this.#areShort(r, r),
      op(`${t}.eq`, op(`${t}.mul`, get(r), get(r)), get(x)),
    );
    return [
      this.#nearest(),
      this.#load(x, a),
      set(r, op(`${t}.sqrt`, get(x))),
      this.#slowUnless(this.#isFinite(r)),
      this.#unlessInexact(this.#slowUnless(exact)),
      this.#result(r),
    ];
  }

  /** Only where the host fuses, and NX is set. */
  multiplyAdd(name: 'madd' | 'msub' | 'nmsub' | 'nmadd', a: Code, b: Code, c: Code): Code {
    const { fused, slow, inexact, local } = this.#context;
    if (!fused) return br(slow);
    const t = this.#type;
    const { x, y, r } = this.#operands();
    const z = local(t);
    const negate = (value: Local): Code => set(value, op(`${t}.neg`, get(value)));
    return [
      brIf(op('i32.eqz', get(inexact)), slow),
      this.#nearest(),
      this.#load(x, a),
      this.#load(y, b),
      this.#load(z, c),
      name === 'nmsub' || name === 'nmadd' ? negate(x) : [],
      name === 'msub' || name === 'nmadd' ? negate(z) : [],
      set(r, relaxedMultiplyAdd(t, get(x), get(y), get(z))),
      this.#slowUnless(this.#isSafe(r, [x, y])),
      this.#result(r),
    ];
  }

  /** Equal operands (zeros of two signs among them) and NaNs are for the exact way. */
  pick(compare: 'lt' | 'gt', a: Code, b: Code): Code {
    const t = this.#type;
    const { x, y, r } = this.#operands();
    const differ = op('i32.or', op(`${t}.lt`, get(x), get(y)), op(`${t}.gt`, get(x), get(y)));
    return [
      this.#load(x, a),
      this.#load(y, b),
      this.#slowUnless(differ),
      set(r, op('select', get(x), get(y), op(`${t}.${compare}`, get(x), get(y)))),
      this.#result(r),
    ];
  }

  compare(name: 'eq' | 'lt' | 'le', a: Code, b: Code): Code {
    const t = this.#type;
    const { x, y } = this.#operands();
    const ordered = op('i32.and', op(`${t}.eq`, get(x), get(x)), op(`${t}.eq`, get(y), get(y)));
    return [
      this.#load(x, a),
      this.#load(y, b),
      this.#slowUnless(ordered),
      extend(op(`${t}.${name}`, get(x), get(y))),
    ];
  }

  /** Exact, but a NaN becomes the canonical one. */
  widen(a: Code): Code {
    const { local } = this.#context;
    const x = local('f32');
    return [
      this.#nearest(),
      this.#loadSingle(x, a),
      this.#slowUnless(op('f32.eq', get(x), get(x))),
      op('i64.reinterpret_f64', op('f64.promote_f32', get(x))),
    ];
  }

  narrow(a: Code): Code {
    const { local } = this.#context;
    const x = local('f64');
    const r = local('f32');
    return [
      this.#nearest(),
      set(x, op('f64.reinterpret_i64', a)),
      set(r, op('f32.demote_f64', get(x))),
      this.#slowUnless(
        op(
          'i32.and',
          this.#isFinite(r),
          op('i32.or', this.#isNotTiny(r), op('f64.eq', get(x), f64(0))),
        ),
      ),
      this.#unlessInexact(this.#slowUnless(op('f64.eq', op('f64.promote_f32', get(r)), get(x)))),
      this.#result(r),
    ];
  }

  /** Truncates; modes other than RTZ only where the value is an integer. */
  toInteger(name: keyof typeof integers, a: Code): Code {
    const { local, roundingMode, inexact, nearest } = this.#context;
    const { above, below, truncate } = integers[name];
    const word = truncate.startsWith('i32');
    const unsigned = name.endsWith('U');
    const single = local('f32');
    const x = local('f64');
    const r = local(word ? 'i32' : 'i64');
    const back = `f64.convert_${word ? 'i32' : 'i64'}_${unsigned ? 'u' : 's'}` as const;
    const exact = op('f64.eq', op(back, get(r)), get(x));
    const towardZero = op('i32.eq', roundingMode ?? i32(1), i32(1));
    return [
      this.#double
        ? set(x, op('f64.reinterpret_i64', a))
        : [this.#loadSingle(single, a), set(x, op('f64.promote_f32', get(single)))],
      this.#slowUnless(
        op('i32.and', op('f64.gt', get(x), f64(above)), op('f64.lt', get(x), f64(below))),
      ),
      set(r, op(truncate, get(x))),
      this.#slowUnless(
        choose(
          'i32',
          towardZero,
          op('i32.or', get(inexact), exact),
          op('i32.and', exact, op('i32.and', get(nearest), this.#isNearestMode())),
        ),
      ),
      word ? op('i64.extend_i32_s', get(r)) : get(r),
    ];
  }

  fromInteger(name: 'fromW' | 'fromWU' | 'fromL' | 'fromLU', a: Code): Code {
    const { local } = this.#context;
    const value = local('i64');
    const r = local(this.#type);
    const extended = {
      fromW: (v: Code) => op('i64.extend32_s', v),
      fromWU: (v: Code) => and64(v, 0xffffffffn),
      fromL: (v: Code) => v,
      fromLU: (v: Code) => v,
    }[name](a);
    const signs = name === 'fromLU' ? 'u' : 's';
    // Integers up to 2^53 or 2^24 have an exact float.
    const limit = this.#double ? 2n ** 53n : 2n ** 24n;
    const short =
      name === 'fromLU'
        ? op('i64.le_u', get(value), i64(limit))
        : op('i64.le_u', add64(get(value), i64(limit)), i64(2n * limit));
    return [
      this.#nearest(),
      set(value, extended),
      set(r, op(`${this.#type}.convert_i64_${signs}`, get(value))),
      this.#unlessInexact(this.#slowUnless(short)),
      this.#result(r),
    ];
  }

  #operands(): { x: Local; y: Local; r: Local } {
    const { local } = this.#context;
    return { x: local(this.#type), y: local(this.#type), r: local(this.#type) };
  }

  #load(into: Local, register: Code): Code {
    return this.#double
      ? set(into, op('f64.reinterpret_i64', register))
      : this.#loadSingle(into, register);
  }

  /** Registers that do not hold a boxed single read as NaN: for the exact way. */
  #loadSingle(into: Local, register: Code): Code {
    const bits = this.#context.local('i64');
    return [
      set(bits, register),
      this.#slowUnless(op('i64.ge_u', get(bits), i64(BOXED))),
      set(into, op('f32.reinterpret_i32', wrap(get(bits)))),
    ];
  }

  #result(value: Local): Code {
    return value.type === 'f64'
      ? op('i64.reinterpret_f64', get(value))
      : op('i64.or', extend(op('i32.reinterpret_f32', get(value))), i64(BOXED));
  }

  #slowUnless(condition: Code): Code {
    return brIf(op('i32.eqz', condition), this.#context.slow);
  }

  #unlessInexact(check: Code): Code {
    return when(op('i32.eqz', get(this.#context.inexact)), check);
  }

  /** Off to `slow` unless the mode is RNE, by the field or by frm. */
  #nearest(): Code {
    const { nearest } = this.#context;
    return this.#slowUnless(op('i32.and', get(nearest), this.#isNearestMode()));
  }

  /** rm is RNE (0) or dynamic (7). */
  #isNearestMode(): Code {
    const { roundingMode } = this.#context;
    if (roundingMode === undefined) return i32(1);
    return op('i32.lt_u', and32(add32(roundingMode, i32(1)), 7), i32(2));
  }

  #constant(value: number): Code {
    return this.#double ? f64(value) : f32(value);
  }

  #isFinite(value: Local): Code {
    const infinity =
      value.type === 'f64' ? f64(Number.POSITIVE_INFINITY) : f32(Number.POSITIVE_INFINITY);
    return op(`${value.type as 'f64'}.lt`, op(`${value.type as 'f64'}.abs`, get(value)), infinity);
  }

  /** Above the smallest normal number, which itself may come of rounding a tiny one. */
  #isNotTiny(value: Local): Code {
    const smallest = value.type === 'f64' ? f64(2 ** -1022) : f32(2 ** -126);
    return op(`${value.type as 'f64'}.gt`, op(`${value.type as 'f64'}.abs`, get(value)), smallest);
  }

  /** Finite, and not tiny unless one of `factors` is zero (then it is exact). */
  #isSafe(value: Local, factors: readonly Local[]): Code {
    const zeros = factors.map((factor) => op(`${this.#type}.eq`, get(factor), this.#constant(0)));
    const sound = zeros.reduce((a, b) => op('i32.or', a, b), this.#isNotTiny(value));
    return op('i32.and', this.#isFinite(value), sound);
  }

  /** Whether the product of two numbers is exact because half of each significand is zero. */
  #areShort(a: Local, b: Local): Code {
    if (this.#double) {
      const bits = op(
        'i64.or',
        op('i64.reinterpret_f64', get(a)),
        op('i64.reinterpret_f64', get(b)),
      );
      return op('i64.eqz', and64(bits, (1n << 27n) - 1n));
    }
    const bits = op('i32.or', op('i32.reinterpret_f32', get(a)), op('i32.reinterpret_f32', get(b)));
    return op('i32.eqz', and32(bits, (1 << 12) - 1));
  }
}
