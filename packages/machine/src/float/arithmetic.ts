import {
  Flag,
  type FloatState,
  type Format,
  infinity,
  invalid,
  propagateNaN,
  Rounding,
  type Unpacked,
  unpack,
  zero,
} from './format.ts';
import { bitLength, round, withSticky } from './round.ts';

export function add(f: Format, state: FloatState, a: bigint, b: bigint): bigint {
  const x = unpack(f, a);
  const y = unpack(f, b);
  if (x.kind === 'nan' || y.kind === 'nan') return propagateNaN(f, state, x, y);
  return sum(f, state, x, y);
}

export function subtract(f: Format, state: FloatState, a: bigint, b: bigint): bigint {
  const x = unpack(f, a);
  const y = unpack(f, b);
  if (x.kind === 'nan' || y.kind === 'nan') return propagateNaN(f, state, x, y);
  return sum(f, state, x, { ...y, sign: !y.sign });
}

export function multiply(f: Format, state: FloatState, a: bigint, b: bigint): bigint {
  const x = unpack(f, a);
  const y = unpack(f, b);
  if (x.kind === 'nan' || y.kind === 'nan') return propagateNaN(f, state, x, y);
  const sign = x.sign !== y.sign;
  if (x.kind === 'infinite' || y.kind === 'infinite') {
    return isZero(x) || isZero(y) ? invalid(f, state) : infinity(f, sign);
  }
  return round(f, state, sign, x.exponent + y.exponent, x.significand * y.significand);
}

export function divide(f: Format, state: FloatState, a: bigint, b: bigint): bigint {
  const x = unpack(f, a);
  const y = unpack(f, b);
  if (x.kind === 'nan' || y.kind === 'nan') return propagateNaN(f, state, x, y);
  const sign = x.sign !== y.sign;
  if (x.kind === 'infinite') return y.kind === 'infinite' ? invalid(f, state) : infinity(f, sign);
  if (y.kind === 'infinite') return zero(f, sign);
  if (isZero(y)) {
    if (isZero(x)) return invalid(f, state);
    state.flags |= Flag.divideByZero;
    return infinity(f, sign);
  }
  if (isZero(x)) return zero(f, sign);
  // Enough quotient bits for the precision and a guard bit, however short the dividend is.
  const shift = Math.max(f.precision + 2 + bitLength(y.significand) - bitLength(x.significand), 0);
  const dividend = x.significand << BigInt(shift);
  const quotient = dividend / y.significand;
  const sticky = quotient * y.significand !== dividend;
  return round(f, state, sign, x.exponent - y.exponent - shift - 1, withSticky(quotient, sticky));
}

export function squareRoot(f: Format, state: FloatState, a: bigint): bigint {
  const x = unpack(f, a);
  if (x.kind === 'nan') return propagateNaN(f, state, x);
  if (isZero(x)) return a;
  if (x.sign) return invalid(f, state);
  if (x.kind === 'infinite') return a;
  let shift = 2 * (f.precision + 2) - bitLength(x.significand);
  if (((x.exponent - shift) & 1) !== 0) shift++;
  const radicand = x.significand << BigInt(shift);
  const root = integerRoot(radicand);
  const sticky = root * root !== radicand;
  return round(f, state, false, (x.exponent - shift) / 2 - 1, withSticky(root, sticky));
}

/** a * b + c with one rounding. Negate operands' sign bits for the other three forms. */
export function fusedMultiplyAdd(
  f: Format,
  state: FloatState,
  a: bigint,
  b: bigint,
  c: bigint,
): bigint {
  const x = unpack(f, a);
  const y = unpack(f, b);
  const z = unpack(f, c);
  const infiniteTimesZero =
    (x.kind === 'infinite' && isZero(y)) || (y.kind === 'infinite' && isZero(x));
  // RISC-V raises invalid for infinity times zero even when the addend is a quiet NaN.
  if (infiniteTimesZero) return invalid(f, state);
  if (x.kind === 'nan' || y.kind === 'nan' || z.kind === 'nan')
    return propagateNaN(f, state, x, y, z);
  const product: Unpacked = {
    kind: x.kind === 'infinite' || y.kind === 'infinite' ? 'infinite' : 'finite',
    sign: x.sign !== y.sign,
    exponent: x.exponent + y.exponent,
    significand: x.significand * y.significand,
    signaling: false,
  };
  return sum(f, state, product, z);
}

/** The rounded sum of two values that are no NaNs. */
function sum(f: Format, state: FloatState, x: Unpacked, y: Unpacked): bigint {
  if (x.kind === 'infinite' || y.kind === 'infinite') {
    if (x.kind === y.kind && x.sign !== y.sign) return invalid(f, state);
    return infinity(f, x.kind === 'infinite' ? x.sign : y.sign);
  }
  const exponent = Math.min(x.exponent, y.exponent);
  const total = signed(x, exponent) + signed(y, exponent);
  if (total !== 0n) {
    return round(f, state, total < 0n, exponent, total < 0n ? -total : total);
  }
  const sameSign = x.sign === y.sign;
  return zero(f, sameSign ? x.sign : state.rounding === Rounding.down);
}

function signed(value: Unpacked, exponent: number): bigint {
  const shifted = value.significand << BigInt(value.exponent - exponent);
  return value.sign ? -shifted : shifted;
}

function isZero(value: Unpacked): boolean {
  return value.kind === 'finite' && value.significand === 0n;
}

/** Floor of the square root of a positive integer below 2^120. */
function integerRoot(value: bigint): bigint {
  let root = BigInt(Math.floor(Math.sqrt(Number(value))));
  root = (root + value / root) >> 1n; // one Newton step: the double was good to 52 bits
  while (root * root > value) root--;
  while ((root + 1n) * (root + 1n) <= value) root++;
  return root;
}
