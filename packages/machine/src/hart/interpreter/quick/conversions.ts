import { type Code, choose, f64, get, i32, i64, op, set } from '@anole/bytes/wasm';
import { add64, and64 } from '../slots.ts';
import { QuickKit } from './kit.ts';

/** Ranges that truncate into the type, exclusive; and how its values come and go. */
const integers = {
  toW: { above: -(2 ** 31) - 1, below: 2 ** 31, truncate: 'i32.trunc_sat_f64_s' },
  toWU: { above: -1, below: 2 ** 32, truncate: 'i32.trunc_sat_f64_u' },
  // The next double below -2^63.
  toL: { above: -(2 ** 63) - 2048, below: 2 ** 63, truncate: 'i64.trunc_sat_f64_s' },
  toLU: { above: -1, below: 2 ** 64, truncate: 'i64.trunc_sat_f64_u' },
} as const;

/** Conversions between the precisions, and from and to integers. */
export class QuickConversions extends QuickKit {
  /** Exact, but a NaN becomes the canonical one. */
  widen(a: Code): Code {
    const { local } = this.context;
    const x = local('f32');
    return [
      this.nearest(),
      this.loadSingle(x, a),
      this.slowUnless(op('f32.eq', get(x), get(x))),
      op('i64.reinterpret_f64', op('f64.promote_f32', get(x))),
    ];
  }

  narrow(a: Code): Code {
    const { local } = this.context;
    const x = local('f64');
    const r = local('f32');
    return [
      this.nearest(),
      set(x, op('f64.reinterpret_i64', a)),
      set(r, op('f32.demote_f64', get(x))),
      this.slowUnless(
        op(
          'i32.and',
          this.isFinite(r),
          op('i32.or', this.isNotTiny(r), op('f64.eq', get(x), f64(0))),
        ),
      ),
      this.unlessInexact(this.slowUnless(op('f64.eq', op('f64.promote_f32', get(r)), get(x)))),
      this.result(r),
    ];
  }

  /** Truncates; modes other than RTZ only where the value is an integer. */
  toInteger(name: keyof typeof integers, a: Code): Code {
    const { local, roundingMode, inexact, nearest } = this.context;
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
      this.double
        ? set(x, op('f64.reinterpret_i64', a))
        : [this.loadSingle(single, a), set(x, op('f64.promote_f32', get(single)))],
      this.slowUnless(
        op('i32.and', op('f64.gt', get(x), f64(above)), op('f64.lt', get(x), f64(below))),
      ),
      set(r, op(truncate, get(x))),
      this.slowUnless(
        choose(
          'i32',
          towardZero,
          op('i32.or', inexact, exact),
          op('i32.and', exact, op('i32.and', nearest, this.isNearestMode())),
        ),
      ),
      word ? op('i64.extend_i32_s', get(r)) : get(r),
    ];
  }

  fromInteger(name: 'fromW' | 'fromWU' | 'fromL' | 'fromLU', a: Code): Code {
    const { local } = this.context;
    const value = local('i64');
    const r = local(this.type);
    const extended = {
      fromW: (v: Code) => op('i64.extend32_s', v),
      fromWU: (v: Code) => and64(v, 0xffffffffn),
      fromL: (v: Code) => v,
      fromLU: (v: Code) => v,
    }[name](a);
    const signs = name === 'fromLU' ? 'u' : 's';
    // Integers up to 2^53 or 2^24 have an exact float.
    const limit = this.double ? 2n ** 53n : 2n ** 24n;
    const short =
      name === 'fromLU'
        ? op('i64.le_u', get(value), i64(limit))
        : op('i64.le_u', add64(get(value), i64(limit)), i64(2n * limit));
    return [
      this.nearest(),
      set(value, extended),
      set(r, op(`${this.type}.convert_i64_${signs}`, get(value))),
      this.unlessInexact(this.slowUnless(short)),
      this.result(r),
    ];
  }
}
