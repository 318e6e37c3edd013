/**
 * Exact IEEE 754 arithmetic with RISC-V's rules for NaNs, flags and conversions: what the machine
 * falls back to where the host's own floating point would not give the same result and flags.
 *
 * @example
 * const state = { rounding: Rounding.up, flags: 0 };
 * divide(binary64, state, 0x3ff0000000000000n, 0x4008000000000000n); // 1 / 3, rounded up
 * state.flags; // Flag.inexact
 */
export { add, divide, fusedMultiplyAdd, multiply, squareRoot, subtract } from './arithmetic.ts';
export { classify, equal, lessOrEqual, lessThan, maximum, minimum } from './compare.ts';
export { fromInteger, narrow, toInteger, widen } from './convert.ts';
export { binary32, binary64, Flag, type FloatState, type Format, Rounding } from './format.ts';
