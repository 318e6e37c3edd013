import {
  binary32,
  binary64,
  Flag,
  type FloatState,
  type Format,
  infinity,
  propagateNaN,
  unpack,
} from './format.ts';
import { round, roundAt } from './round.ts';

/** An integer type of the conversions: fcvt's w, wu, l and lu. */
export interface IntegerType {
  readonly bits: 32 | 64;
  readonly signed: boolean;
}

/**
 * fcvt from floating point: the integer, sign-extended from its width to 64 bits (two's complement,
 * 0 to 2^64 - 1). Out of range, infinite and NaN raise invalid and saturate; NaN is the largest.
 */
export function toInteger(f: Format, state: FloatState, type: IntegerType, bits: bigint): bigint {
  const width = BigInt(type.bits);
  const largest = type.signed ? (1n << (width - 1n)) - 1n : (1n << width) - 1n;
  const smallest = type.signed ? -(1n << (width - 1n)) : 0n;
  const x = unpack(f, bits);
  if (x.kind !== 'finite') {
    state.flags |= Flag.invalid;
    return extend(type, x.kind === 'infinite' && x.sign ? smallest : largest);
  }
  if (x.exponent > 64) {
    if (x.significand !== 0n) state.flags |= Flag.invalid;
    return extend(type, x.significand === 0n ? 0n : x.sign ? smallest : largest);
  }
  const { value, inexact } = roundAt(x.significand, -x.exponent, x.sign, state.rounding);
  const integer = x.sign ? -value : value;
  if (integer > largest || integer < smallest) {
    state.flags |= Flag.invalid;
    return extend(type, x.sign ? smallest : largest);
  }
  if (inexact) state.flags |= Flag.inexact;
  return extend(type, integer);
}

/** fcvt to floating point of the low bits of a 64-bit register. */
export function fromInteger(
  f: Format,
  state: FloatState,
  type: IntegerType,
  register: bigint,
): bigint {
  const value = type.signed
    ? BigInt.asIntN(type.bits, register)
    : BigInt.asUintN(type.bits, register);
  return round(f, state, value < 0n, 0, value < 0n ? -value : value);
}

/** fcvt.d.s: always exact. */
export function widen(state: FloatState, bits: bigint): bigint {
  return reformat(binary32, binary64, state, bits);
}

/** fcvt.s.d. */
export function narrow(state: FloatState, bits: bigint): bigint {
  return reformat(binary64, binary32, state, bits);
}

function reformat(from: Format, to: Format, state: FloatState, bits: bigint): bigint {
  const x = unpack(from, bits);
  if (x.kind === 'nan') return propagateNaN(to, state, x);
  if (x.kind === 'infinite') return infinity(to, x.sign);
  return round(to, state, x.sign, x.exponent, x.significand);
}

function extend(type: IntegerType, value: bigint): bigint {
  return BigInt.asUintN(64, BigInt.asIntN(type.bits, value));
}
