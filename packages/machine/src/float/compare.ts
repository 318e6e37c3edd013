import { Flag, type FloatState, type Format, type Unpacked, unpack } from './format.ts';

/** feq: quiet, so invalid only for signaling NaNs. 1 or 0. */
export function equal(f: Format, state: FloatState, a: bigint, b: bigint): bigint {
  const x = unpack(f, a);
  const y = unpack(f, b);
  if (x.kind === 'nan' || y.kind === 'nan') return unordered(state, x.signaling || y.signaling);
  return order(f, a) === order(f, b) ? 1n : 0n;
}

/** flt: signaling, so invalid for every NaN. */
export function lessThan(f: Format, state: FloatState, a: bigint, b: bigint): bigint {
  if (holdsNaN(f, a) || holdsNaN(f, b)) return unordered(state, true);
  return order(f, a) < order(f, b) ? 1n : 0n;
}

export function lessOrEqual(f: Format, state: FloatState, a: bigint, b: bigint): bigint {
  if (holdsNaN(f, a) || holdsNaN(f, b)) return unordered(state, true);
  return order(f, a) <= order(f, b) ? 1n : 0n;
}

/** fmin: IEEE 754-2019 minimumNumber; -0 is below +0. */
export function minimum(f: Format, state: FloatState, a: bigint, b: bigint): bigint {
  return pick(f, state, a, b, (x, y) => totalOrder(f, x) <= totalOrder(f, y));
}

/** fmax: IEEE 754-2019 maximumNumber. */
export function maximum(f: Format, state: FloatState, a: bigint, b: bigint): bigint {
  return pick(f, state, a, b, (x, y) => totalOrder(f, x) >= totalOrder(f, y));
}

/** fclass: one bit of ten (RISC-V Unprivileged, "Floating-Point Classify Instruction"). */
export function classify(f: Format, bits: bigint): bigint {
  const x = unpack(f, bits);
  if (x.kind === 'nan') return x.signaling ? 1n << 8n : 1n << 9n;
  return 1n << BigInt(x.sign ? rank(f, x) : 7 - rank(f, x));
}

/** 0 infinite, 1 normal, 2 subnormal, 3 zero. */
function rank(f: Format, x: Unpacked): number {
  if (x.kind === 'infinite') return 0;
  if (x.significand === 0n) return 3;
  return x.significand > f.fractionMask ? 1 : 2;
}

function unordered(state: FloatState, raise: boolean): bigint {
  if (raise) state.flags |= Flag.invalid;
  return 0n;
}

function pick(
  f: Format,
  state: FloatState,
  a: bigint,
  b: bigint,
  first: (a: bigint, b: bigint) => boolean,
): bigint {
  const x = unpack(f, a);
  const y = unpack(f, b);
  if (x.signaling || y.signaling) state.flags |= Flag.invalid;
  if (x.kind === 'nan') return y.kind === 'nan' ? f.canonicalNaN : b;
  if (y.kind === 'nan') return a;
  return first(a, b) ? a : b;
}

function holdsNaN(f: Format, bits: bigint): boolean {
  return (bits & (f.signBit - 1n)) > f.infinity;
}

/** Bits as an integer that orders like the number; both zeros are 0. */
function order(f: Format, bits: bigint): bigint {
  const magnitude = bits & (f.signBit - 1n);
  return (bits & f.signBit) !== 0n ? -magnitude : magnitude;
}

/** As {@link order}, with -0 below +0. */
function totalOrder(f: Format, bits: bigint): bigint {
  return (bits & f.signBit) !== 0n ? -(bits & (f.signBit - 1n)) - 1n : bits;
}
