import {
  brIf,
  type Code,
  f32,
  f64,
  get,
  i32,
  i64,
  type Label,
  type Local,
  op,
  set,
  type ValueType,
  when,
} from '@anole/bytes/wasm';
import { add32, and32, and64, extend, wrap } from '../slots.ts';

/**
 * Floating point by the host's own arithmetic, where that gives the same result and flags. The
 * host rounds to nearest even and tells no flags. So: where the result is finite and not tiny, the
 * only flag can be NX; that is no news where NX is set already, else the result must be shown to
 * be exact. All other cases go to `slow`.
 */
export interface QuickContext {
  local(type: ValueType): Local;
  /** i32: not 0 where frm is RNE; where NX is set. */
  readonly nearest: Code;
  readonly inexact: Code;
  /** The rm field as i32, for instructions that have one. */
  readonly roundingMode: Code | undefined;
  readonly fused: boolean;
  /** Where to go when the exact way is needed. */
  readonly slow: Label;
}

const BOXED = 0xffffffff00000000n;

/** What the quick ways of one precision have in common: operands, results, conditions. */
export class QuickKit {
  readonly double: boolean;
  readonly type: 'f32' | 'f64';
  readonly context: QuickContext;

  constructor(precision: 's' | 'd', context: QuickContext) {
    this.double = precision === 'd';
    this.type = this.double ? 'f64' : 'f32';
    this.context = context;
  }

  operands(): { x: Local; y: Local; r: Local } {
    const { local } = this.context;
    return { x: local(this.type), y: local(this.type), r: local(this.type) };
  }

  load(into: Local, register: Code): Code {
    return this.double
      ? set(into, op('f64.reinterpret_i64', register))
      : this.loadSingle(into, register);
  }

  /** Registers that do not hold a boxed single read as NaN: for the exact way. */
  loadSingle(into: Local, register: Code): Code {
    const bits = this.context.local('i64');
    return [
      set(bits, register),
      this.slowUnless(op('i64.ge_u', get(bits), i64(BOXED))),
      set(into, op('f32.reinterpret_i32', wrap(get(bits)))),
    ];
  }

  result(value: Local): Code {
    return value.type === 'f64'
      ? op('i64.reinterpret_f64', get(value))
      : op('i64.or', extend(op('i32.reinterpret_f32', get(value))), i64(BOXED));
  }

  slowUnless(condition: Code): Code {
    return brIf(op('i32.eqz', condition), this.context.slow);
  }

  unlessInexact(check: Code): Code {
    return when(op('i32.eqz', this.context.inexact), check);
  }

  /** Off to `slow` unless the mode is RNE, by the field or by frm. */
  nearest(): Code {
    const { nearest } = this.context;
    return this.slowUnless(op('i32.and', nearest, this.isNearestMode()));
  }

  /** rm is RNE (0) or dynamic (7). */
  isNearestMode(): Code {
    const { roundingMode } = this.context;
    if (roundingMode === undefined) return i32(1);
    return op('i32.lt_u', and32(add32(roundingMode, i32(1)), 7), i32(2));
  }

  constant(value: number): Code {
    return this.double ? f64(value) : f32(value);
  }

  isFinite(value: Local): Code {
    const infinity =
      value.type === 'f64' ? f64(Number.POSITIVE_INFINITY) : f32(Number.POSITIVE_INFINITY);
    return op(`${value.type as 'f64'}.lt`, op(`${value.type as 'f64'}.abs`, get(value)), infinity);
  }

  /** Above the smallest normal number, which itself may come of rounding a tiny one. */
  isNotTiny(value: Local): Code {
    const smallest = value.type === 'f64' ? f64(2 ** -1022) : f32(2 ** -126);
    return op(`${value.type as 'f64'}.gt`, op(`${value.type as 'f64'}.abs`, get(value)), smallest);
  }

  /** Finite, and not tiny unless one of `factors` is zero (then it is exact). */
  isSafe(value: Local, factors: readonly Local[]): Code {
    const zeros = factors.map((factor) => op(`${this.type}.eq`, get(factor), this.constant(0)));
    const sound = zeros.reduce((a, b) => op('i32.or', a, b), this.isNotTiny(value));
    return op('i32.and', this.isFinite(value), sound);
  }

  /** Whether the product of two numbers is exact because half of each significand is zero. */
  areShort(a: Local, b: Local): Code {
    if (this.double) {
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
