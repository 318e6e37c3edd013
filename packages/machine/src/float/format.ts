/** IEEE 754 binary interchange formats (IEEE 754-2019, 3.4), values held as raw bits in a bigint. */
export interface Format {
  /** Bits of precision, the hidden one included: 24 or 53. */
  readonly precision: number;
  readonly exponentBits: number;
  /** Exponent of the leading bit of the smallest normal number: -126 or -1022. */
  readonly minExponent: number;
  readonly maxExponent: number;
  readonly signBit: bigint;
  readonly infinity: bigint;
  readonly maxFinite: bigint;
  /** The one NaN that operations return (RISC-V Unprivileged, "NaN Generation and Propagation"). */
  readonly canonicalNaN: bigint;
  readonly quietBit: bigint;
  readonly fractionMask: bigint;
}

function format(precision: number, exponentBits: number): Format {
  const fraction = BigInt(precision - 1);
  const infinity = ((1n << BigInt(exponentBits)) - 1n) << fraction;
  const maxExponent = 2 ** (exponentBits - 1) - 1;
  return {
    precision,
    exponentBits,
    minExponent: 1 - maxExponent,
    maxExponent,
    signBit: 1n << (fraction + BigInt(exponentBits)),
    infinity,
    maxFinite: infinity - 1n,
    canonicalNaN: infinity | (1n << (fraction - 1n)),
    quietBit: 1n << (fraction - 1n),
    fractionMask: (1n << fraction) - 1n,
  };
}

export const binary32: Format = format(24, 8);
export const binary64: Format = format(53, 11);

/** Rounding modes by their encoding in `frm`. */
export const Rounding = {
  nearestEven: 0,
  towardZero: 1,
  down: 2,
  up: 3,
  nearestMaxMagnitude: 4,
} as const;

/** Accrued exceptions by their bits in `fflags`. */
export const Flag = {
  inexact: 1,
  underflow: 2,
  overflow: 4,
  divideByZero: 8,
  invalid: 16,
} as const;

/** Where an operation takes its rounding mode from and adds its flags to. */
export interface FloatState {
  rounding: number;
  flags: number;
}

/** A number taken apart: finite values are (-1)^sign * significand * 2^exponent. */
export interface Unpacked {
  readonly kind: 'finite' | 'infinite' | 'nan';
  readonly sign: boolean;
  readonly exponent: number;
  /** 0 for zeros, else with the hidden bit in place. */
  readonly significand: bigint;
  readonly signaling: boolean;
}

export function unpack(f: Format, bits: bigint): Unpacked {
  const sign = (bits & f.signBit) !== 0n;
  const magnitude = bits & (f.signBit - 1n);
  const fraction = bits & f.fractionMask;
  if (magnitude >= f.infinity) {
    const kind = fraction === 0n ? 'infinite' : 'nan';
    const signaling = kind === 'nan' && (fraction & f.quietBit) === 0n;
    return { kind, sign, exponent: 0, significand: 0n, signaling };
  }
  const biased = Number(magnitude >> BigInt(f.precision - 1));
  return {
    kind: 'finite',
    sign,
    exponent: f.minExponent - (f.precision - 1) + Math.max(biased - 1, 0),
    significand: biased === 0 ? fraction : fraction | (f.fractionMask + 1n),
    signaling: false,
  };
}

/** The canonical NaN, raising invalid. */
export function invalid(f: Format, state: FloatState): bigint {
  state.flags |= Flag.invalid;
  return f.canonicalNaN;
}

/** What every operation returns when an operand is a NaN: invalid only for signaling ones. */
export function propagateNaN(
  f: Format,
  state: FloatState,
  ...operands: readonly Unpacked[]
): bigint {
  if (operands.some((operand) => operand.signaling)) state.flags |= Flag.invalid;
  return f.canonicalNaN;
}

export function zero(f: Format, sign: boolean): bigint {
  return sign ? f.signBit : 0n;
}

export function infinity(f: Format, sign: boolean): bigint {
  return sign ? f.signBit | f.infinity : f.infinity;
}
