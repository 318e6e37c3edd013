import {
  add,
  binary32,
  binary64,
  classify,
  divide,
  equal,
  type FloatState,
  type Format,
  fromInteger,
  fusedMultiplyAdd,
  lessOrEqual,
  lessThan,
  maximum,
  minimum,
  multiply,
  narrow,
  squareRoot,
  subtract,
  toInteger,
  widen,
} from '../float/index.ts';
import type { FloatName } from '../isa/ir.ts';
import { floatOperations } from './interpreter/float-index.ts';
import { FCSR, FLOAT_A, FLOAT_B, FLOAT_C, FLOAT_RESULT, MSTATUS } from './layout.ts';
import type { HartState } from './state.ts';
import { status } from './status.ts';

/** The exact way: soft-float on the arguments in the state block. */
export function floatImport(state: HartState): (operation: number, rounding: number) => void {
  const mode: FloatState = { rounding: 0, flags: 0 };
  return (operation, rounding) => {
    mode.rounding = rounding;
    mode.flags = 0;
    const { name, precision } = floatOperations[operation]!;
    const [a, b, c] = [state.get(FLOAT_A), state.get(FLOAT_B), state.get(FLOAT_C)];
    state.set(FLOAT_RESULT, compute(name, precision === 'd', mode, [a, b, c]));
    const flags = state.getWord(FCSR);
    if ((flags | mode.flags) === flags) return;
    state.setWord(FCSR, flags | mode.flags);
    state.set(MSTATUS, state.get(MSTATUS) | status.FS);
  };
}

const UPPER = 0xffffffff00000000n;

/** A register as binary32: NaN where it is not boxed. */
const unbox = (register: bigint): bigint =>
  register >= UPPER ? register & 0xffffffffn : binary32.canonicalNaN;

const integerTypes = {
  W: { bits: 32, signed: true },
  WU: { bits: 32, signed: false },
  L: { bits: 64, signed: true },
  LU: { bits: 64, signed: false },
} as const;

function compute(
  name: FloatName,
  double: boolean,
  mode: FloatState,
  raw: readonly [bigint, bigint, bigint],
): bigint {
  const format = double ? binary64 : binary32;
  const box = (bits: bigint): bigint => (double ? bits : bits | UPPER);
  if (name === 'convert') {
    return double ? widen(mode, unbox(raw[0])) : narrow(mode, raw[0]) | UPPER;
  }
  if (name.startsWith('from')) {
    const type = integerTypes[name.slice(4) as keyof typeof integerTypes];
    return box(fromInteger(format, mode, type, raw[0]));
  }
  const [a, b, c] = double ? raw : [unbox(raw[0]), unbox(raw[1]), unbox(raw[2])];
  if (name.startsWith('to')) {
    const type = integerTypes[name.slice(2) as keyof typeof integerTypes];
    return BigInt.asUintN(64, toInteger(format, mode, type, a));
  }
  const integer = toRegister[name]?.(format, mode, a, b);
  return integer ?? box(toFloat[name]!(format, mode, a, b, c));
}

type Comparison = (f: Format, mode: FloatState, a: bigint, b: bigint) => bigint;
type Operation = (f: Format, mode: FloatState, a: bigint, b: bigint, c: bigint) => bigint;

const toRegister: Partial<Record<FloatName, Comparison>> = {
  eq: equal,
  lt: lessThan,
  le: lessOrEqual,
  class: (f, _mode, a) => classify(f, a),
};

/** fmadd = ab + c, fmsub = ab - c, fnmsub = -ab + c, fnmadd = -ab - c; NaNs lose their sign. */
const toFloat: Partial<Record<FloatName, Operation>> = {
  add,
  sub: subtract,
  mul: multiply,
  div: divide,
  sqrt: squareRoot,
  min: minimum,
  max: maximum,
  madd: fusedMultiplyAdd,
  msub: (f, mode, a, b, c) => fusedMultiplyAdd(f, mode, a, b, c ^ f.signBit),
  nmsub: (f, mode, a, b, c) => fusedMultiplyAdd(f, mode, a ^ f.signBit, b, c),
  nmadd: (f, mode, a, b, c) => fusedMultiplyAdd(f, mode, a ^ f.signBit, b, c ^ f.signBit),
};
