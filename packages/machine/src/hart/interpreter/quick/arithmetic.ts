import { br, brIf, type Code, get, type Local, op, set } from '@anole/bytes/wasm';
import { relaxedMultiplyAdd } from '../fused.ts';
import { extend } from '../slots.ts';
import { QuickKit } from './kit.ts';

/** Sums, products, quotients, roots, fused ones, and comparisons. */
export class QuickArithmetic extends QuickKit {
  /** Exact where the error that TwoSum computes is zero. Sums are never tiny and inexact. */
  sum(name: 'add' | 'sub', a: Code, b: Code): Code {
    const t = this.type;
    const { x, y, r } = this.operands();
    const error = this.context.local(t);
    const flip = name === 'sub' ? set(y, op(`${t}.neg`, get(y))) : [];
    const back = op(`${t}.sub`, get(r), get(x));
    return [
      this.nearest(),
      this.load(x, a),
      this.load(y, b),
      flip,
      set(r, op(`${t}.add`, get(x), get(y))),
      this.slowUnless(this.isFinite(r)),
      this.unlessInexact([
        set(error, back),
        this.slowUnless(
          op(
            'i32.and',
            op(`${t}.eq`, op(`${t}.sub`, get(y), get(error)), this.constant(0)),
            op(`${t}.eq`, op(`${t}.sub`, get(r), get(error)), get(x)),
          ),
        ),
      ]),
      this.result(r),
    ];
  }

  /** Exact where both factors are short. */
  product(a: Code, b: Code): Code {
    const t = this.type;
    const { x, y, r } = this.operands();
    return [
      this.nearest(),
      this.load(x, a),
      this.load(y, b),
      set(r, op(`${t}.mul`, get(x), get(y))),
      this.slowUnless(this.isSafe(r, [x, y])),
      this.unlessInexact(this.slowUnless(this.areShort(x, y))),
      this.result(r),
    ];
  }

  /** Exact where quotient and divisor are short and their product is the dividend. */
  quotient(a: Code, b: Code): Code {
    const t = this.type;
    const { x, y, r } = this.operands();
    const exact = op(
      'i32.and',
      this.areShort(r, y),
      op(`${t}.eq`, op(`${t}.mul`, get(r), get(y)), get(x)),
    );
    return [
      this.nearest(),
      this.load(x, a),
      this.load(y, b),
      set(r, op(`${t}.div`, get(x), get(y))),
      this.slowUnless(this.isSafe(r, [x])),
      this.unlessInexact(this.slowUnless(exact)),
      this.result(r),
    ];
  }

  root(a: Code): Code {
    const t = this.type;
    const x = this.context.local(t);
    const r = this.context.local(t);
    const exact = op(
      'i32.and',
      this.areShort(r, r),
      op(`${t}.eq`, op(`${t}.mul`, get(r), get(r)), get(x)),
    );
    return [
      this.nearest(),
      this.load(x, a),
      set(r, op(`${t}.sqrt`, get(x))),
      this.slowUnless(this.isFinite(r)),
      this.unlessInexact(this.slowUnless(exact)),
      this.result(r),
    ];
  }

  /** Only where the host fuses, and NX is set. */
  multiplyAdd(name: 'madd' | 'msub' | 'nmsub' | 'nmadd', a: Code, b: Code, c: Code): Code {
    const { fused, slow, inexact, local } = this.context;
    if (!fused) return br(slow);
    const t = this.type;
    const { x, y, r } = this.operands();
    const z = local(t);
    const negate = (value: Local): Code => set(value, op(`${t}.neg`, get(value)));
    return [
      brIf(op('i32.eqz', inexact), slow),
      this.nearest(),
      this.load(x, a),
      this.load(y, b),
      this.load(z, c),
      name === 'nmsub' || name === 'nmadd' ? negate(x) : [],
      name === 'msub' || name === 'nmadd' ? negate(z) : [],
      set(r, relaxedMultiplyAdd(t, get(x), get(y), get(z))),
      this.slowUnless(this.isSafe(r, [x, y])),
      this.result(r),
    ];
  }

  /** Equal operands (zeros of two signs among them) and NaNs are for the exact way. */
  pick(compare: 'lt' | 'gt', a: Code, b: Code): Code {
    const t = this.type;
    const { x, y, r } = this.operands();
    const differ = op('i32.or', op(`${t}.lt`, get(x), get(y)), op(`${t}.gt`, get(x), get(y)));
    return [
      this.load(x, a),
      this.load(y, b),
      this.slowUnless(differ),
      set(r, op('select', get(x), get(y), op(`${t}.${compare}`, get(x), get(y)))),
      this.result(r),
    ];
  }

  compare(name: 'eq' | 'lt' | 'le', a: Code, b: Code): Code {
    const t = this.type;
    const { x, y } = this.operands();
    const ordered = op('i32.and', op(`${t}.eq`, get(x), get(x)), op(`${t}.eq`, get(y), get(y)));
    return [
      this.load(x, a),
      this.load(y, b),
      this.slowUnless(ordered),
      extend(op(`${t}.${name}`, get(x), get(y))),
    ];
  }
}
