import { Flag, type FloatState, type Format, infinity, Rounding, zero } from './format.ts';

const double = new DataView(new ArrayBuffer(8));

/** Number of bits of a positive integer below 2^4500. */
export function bitLength(value: bigint): number {
  let above = 0;
  let rest = value;
  while (rest >= limit) {
    rest >>= 960n;
    above += 960;
  }
  double.setFloat64(0, Number(rest));
  const guess = ((double.getUint16(0) >> 4) & 0x7ff) - 1022;
  // The conversion may have rounded up to the next power of two.
  return above + (rest >> BigInt(guess - 1) === 0n ? guess - 1 : guess);
}
const limit = 1n << 960n;

/** `significand` with whatever lies below it folded into one more low bit, for {@link round}. */
export function withSticky(significand: bigint, sticky: boolean): bigint {
  return (significand << 1n) | (sticky ? 1n : 0n);
}

/**
 * Rounds (-1)^sign * significand * 2^exponent to the format and raises inexact, underflow (tiny
 * after rounding, as RISC-V wants) and overflow. `significand` is exact, or carries a sticky low
 * bit at least two places below the last bit that is kept.
 */
export function round(
  f: Format,
  state: FloatState,
  sign: boolean,
  exponent: number,
  significand: bigint,
): bigint {
  if (significand === 0n) return zero(f, sign);
  const leading = exponent + bitLength(significand) - 1;
  const quantum = Math.max(leading, f.minExponent) - (f.precision - 1);
  const rounded = roundAt(significand, quantum - exponent, sign, state.rounding);
  if (rounded.inexact) {
    state.flags |= Flag.inexact;
    if (leading < f.minExponent && isTiny(f, state, sign, leading, exponent, significand)) {
      state.flags |= Flag.underflow;
    }
  }
  const biased = BigInt(Math.max(leading - f.minExponent, 0));
  // The hidden bit adds one to the exponent field, and so does a carry out of the significand.
  const magnitude = (biased << BigInt(f.precision - 1)) + rounded.value;
  if (leading <= f.maxExponent && magnitude < f.infinity)
    return sign ? f.signBit | magnitude : magnitude;
  return overflow(f, state, sign);
}

function overflow(f: Format, state: FloatState, sign: boolean): bigint {
  state.flags |= Flag.overflow | Flag.inexact;
  const toFinite =
    state.rounding === Rounding.towardZero ||
    (state.rounding === Rounding.down && !sign) ||
    (state.rounding === Rounding.up && sign);
  return toFinite ? zero(f, sign) | f.maxFinite : infinity(f, sign);
}

/** Would the value, rounded to full precision with an unbounded exponent, stay below the normals? */
function isTiny(
  f: Format,
  state: FloatState,
  sign: boolean,
  leading: number,
  exponent: number,
  significand: bigint,
): boolean {
  if (leading < f.minExponent - 1) return true;
  const { value } = roundAt(
    significand,
    leading - (f.precision - 1) - exponent,
    sign,
    state.rounding,
  );
  return value < 1n << BigInt(f.precision);
}

/** significand / 2^drop as an integer; a negative `drop` shifts left. */
export function roundAt(
  significand: bigint,
  drop: number,
  sign: boolean,
  rounding: number,
): { value: bigint; inexact: boolean } {
  if (drop <= 0) return { value: significand << BigInt(-drop), inexact: false };
  const shift = BigInt(drop);
  const value = significand >> shift;
  const rest = significand - (value << shift);
  if (rest === 0n) return { value, inexact: false };
  const half = 1n << (shift - 1n);
  return { value: roundsUp(rounding, sign, value, rest, half) ? value + 1n : value, inexact: true };
}

function roundsUp(
  rounding: number,
  sign: boolean,
  value: bigint,
  rest: bigint,
  half: bigint,
): boolean {
  switch (rounding) {
    case Rounding.nearestEven:
      return rest > half || (rest === half && (value & 1n) === 1n);
    case Rounding.nearestMaxMagnitude:
      return rest >= half;
    case Rounding.down:
      return sign;
    case Rounding.up:
      return !sign;
    default:
      return false;
  }
}
