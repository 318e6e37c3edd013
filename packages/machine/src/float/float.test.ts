import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  add,
  binary32,
  binary64,
  classify,
  divide,
  equal,
  Flag,
  type FloatState,
  fromInteger,
  fusedMultiplyAdd,
  lessThan,
  maximum,
  minimum,
  multiply,
  narrow,
  Rounding,
  squareRoot,
  subtract,
  toInteger,
  widen,
} from './index.ts';

const long = { bits: 64, signed: true } as const;
const word = { bits: 32, signed: true } as const;
const unsignedWord = { bits: 32, signed: false } as const;
const unsignedLong = { bits: 64, signed: false } as const;

type Operation = (state: FloatState, a: bigint, b: bigint, c: bigint) => bigint;

const operations: Readonly<Record<string, Operation>> = {
  add: (state, a, b) => add(binary64, state, a, b),
  subtract: (state, a, b) => subtract(binary64, state, a, b),
  multiply: (state, a, b) => multiply(binary64, state, a, b),
  divide: (state, a, b) => divide(binary64, state, a, b),
  squareRoot: (state, a) => squareRoot(binary64, state, a),
  fma: (state, a, b, c) => fusedMultiplyAdd(binary64, state, a, b, c),
  squareRoot32: (state, a) => squareRoot(binary32, state, a),
  fma32: (state, a, b, c) => fusedMultiplyAdd(binary32, state, a, b, c),
  narrow: (state, a) => narrow(state, a),
  toLong: (state, a) => toInteger(binary64, state, long, a),
};

const view = new DataView(new ArrayBuffer(8));

function bitsOf(value: number): bigint {
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}

/** xorshift128+: the same operands in every run. */
function randomBits(seed: bigint): () => bigint {
  let a = seed;
  let b = 0x9e3779b97f4a7c15n;
  return () => {
    a ^= BigInt.asUintN(64, a << 23n);
    a ^= (a >> 17n) ^ b ^ (b >> 26n);
    [a, b] = [b, a];
    return BigInt.asUintN(64, a + b);
  };
}

/** Operands that meet often: close exponents, few bits, edges of the format. */
function operandsFor(precision: number, width: number, next: () => bigint): () => bigint {
  const fraction = BigInt(precision - 1);
  const bias = (1n << (BigInt(width) - fraction - 2n)) - 1n;
  const edges = [
    0n,
    1n,
    (1n << fraction) - 1n,
    1n << fraction,
    bias << fraction,
    ((2n * bias + 1n) << fraction) - 1n,
    (2n * bias + 1n) << fraction,
  ];
  return () => {
    const choice = next() % 8n;
    const sign = (next() & 1n) << BigInt(width - 1);
    const random = next() & ((1n << fraction) - 1n);
    if (choice === 0n) return sign | edges[Number(next() % BigInt(edges.length))]!;
    if (choice === 1n) return sign | (random >> (next() % fraction));
    const sparse = choice < 5n ? random : (random >> (next() % fraction)) << (next() % fraction);
    const exponent = choice === 2n ? (next() % (2n * bias)) + 1n : bias - 30n + (next() % 60n);
    return sign | (exponent << fraction) | (sparse & ((1n << fraction) - 1n));
  };
}

const python = spawnSync('python3', ['-c', 'import ctypes; ctypes.CDLL("libm.so.6").fesetround']);
const hostFloats =
  process.arch !== 'x64'
    ? 'needs an x86-64 host'
    : python.status !== 0
      ? 'needs python3 and glibc'
      : false;

test('results and flags are those of the host in its four rounding modes', {
  skip: hostFloats,
}, () => {
  const next = randomBits(42n);
  const wide = operandsFor(53, 64, next);
  const small = operandsFor(24, 32, next);
  const cases = Array.from({ length: 20_000 }, (_, at) => {
    const name = Object.keys(operations)[at % 10]!;
    const operand = name.endsWith('32') ? small : wide;
    return { name, rounding: Number(next() % 4n), a: operand(), b: operand(), c: operand() };
  }).filter(({ name, b }) => name !== 'divide' || (b & (binary64.signBit - 1n)) !== 0n); // Python refuses x / 0
  const input = cases.map(
    ({ name, rounding, a, b, c }) =>
      `${name} ${rounding} ${[a, b, c].map((bits) => bits.toString(16)).join(' ')}`,
  );
  const judge = join(import.meta.dirname, 'testing/host-floats.py');
  const { stdout, stderr, status } = spawnSync('python3', [judge], {
    input: input.join('\n'),
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  assert.equal(status, 0, stderr);
  const answers = stdout.trimEnd().split('\n');
  assert.equal(answers.length, cases.length);
  for (const [at, { name, rounding, a, b, c }] of cases.entries()) {
    const state = { rounding, flags: 0 };
    const ours = operations[name]!(state, a, b, c);
    const [bits, flags] = answers[at]!.split(' ');
    const theirs = BigInt(`0x${bits}`);
    const format = /32|narrow/.test(name) ? binary32 : binary64;
    if (name === 'toLong' && (state.flags & Flag.invalid) !== 0) {
      assert.equal(Number(flags) & Flag.invalid, Flag.invalid, input[at]!);
      continue; // RISC-V saturates, x86 has one indefinite value
    }
    const isNotNumber = name !== 'toLong' && (theirs & (format.signBit - 1n)) > format.infinity;
    assert.equal(
      `${ours.toString(16)} ${state.flags}`,
      `${(isNotNumber ? format.canonicalNaN : theirs).toString(16)} ${flags}`,
      input[at]!,
    );
  }
});

test('ties go away from zero in the fifth rounding mode, and only ties differ from nearest even', () => {
  const away = { rounding: Rounding.nearestMaxMagnitude, flags: 0 };
  const even = { rounding: Rounding.nearestEven, flags: 0 };
  const one = bitsOf(1);
  assert.equal(add(binary64, away, one, bitsOf(2 ** -53)), one + 1n);
  assert.equal(add(binary64, even, one, bitsOf(2 ** -53)), one);
  assert.equal(away.flags, Flag.inexact);
  const next = randomBits(7n);
  for (let i = 0; i < 500; i++) {
    const [a, b] = [next(), next()];
    assert.equal(multiply(binary64, away, a, b), multiply(binary64, even, a, b));
  }
});

test('division by zero and invalid operations raise their flags and give what RISC-V says', () => {
  const cases: readonly (readonly [(state: FloatState) => bigint, bigint, number])[] = [
    [(s) => divide(binary64, s, bitsOf(-1), 0n), bitsOf(-Infinity), Flag.divideByZero],
    [(s) => divide(binary64, s, 0n, 0n), binary64.canonicalNaN, Flag.invalid],
    [(s) => squareRoot(binary64, s, bitsOf(-1)), binary64.canonicalNaN, Flag.invalid],
    [(s) => squareRoot(binary64, s, bitsOf(-0)), bitsOf(-0), 0],
    [
      (s) => add(binary64, s, bitsOf(Infinity), bitsOf(-Infinity)),
      binary64.canonicalNaN,
      Flag.invalid,
    ],
    [
      (s) => fusedMultiplyAdd(binary64, s, bitsOf(Infinity), 0n, binary64.canonicalNaN),
      binary64.canonicalNaN,
      Flag.invalid,
    ],
    [(s) => add(binary64, s, 0x7ff0000000000001n, 0n), binary64.canonicalNaN, Flag.invalid],
    [(s) => add(binary64, s, 0xfff8000000000001n, 0n), binary64.canonicalNaN, 0],
    [(s) => widen(s, 0x7f800001n), binary64.canonicalNaN, Flag.invalid],
  ];
  for (const [run, bits, flags] of cases) {
    const state = { rounding: 0, flags: 0 };
    assert.equal(run(state).toString(16), bits.toString(16));
    assert.equal(state.flags, flags);
  }
});

test('conversions to integers saturate, and NaN becomes the largest', () => {
  const convert = (
    type: Parameters<typeof toInteger>[2],
    value: number,
    rounding: number = Rounding.towardZero,
  ) => {
    const state = { rounding, flags: 0 };
    return [BigInt.asIntN(64, toInteger(binary64, state, type, bitsOf(value))), state.flags];
  };
  assert.deepEqual(convert(word, Number.NaN), [2n ** 31n - 1n, Flag.invalid]);
  assert.deepEqual(convert(word, -3e9), [-(2n ** 31n), Flag.invalid]);
  assert.deepEqual(convert(unsignedWord, 4294967295), [-1n, 0]);
  assert.deepEqual(convert(unsignedWord, -1), [0n, Flag.invalid]);
  assert.deepEqual(convert(unsignedWord, -0.5), [0n, Flag.inexact]);
  assert.deepEqual(convert(unsignedLong, 1e300), [-1n, Flag.invalid]);
  assert.deepEqual(convert(unsignedLong, 2 ** 63), [-(2n ** 63n), 0]);
  assert.deepEqual(convert(long, -(2 ** 63)), [-(2n ** 63n), 0]);
  assert.deepEqual(convert(long, 2.5, Rounding.nearestEven), [2n, Flag.inexact]);
  assert.deepEqual(convert(long, 2.5, Rounding.nearestMaxMagnitude), [3n, Flag.inexact]);
});

test('conversions from integers round once', () => {
  const state: FloatState = { rounding: Rounding.nearestEven, flags: 0 };
  assert.equal(fromInteger(binary64, state, word, 0xffff_ffff_ffff_fffbn), bitsOf(-5));
  assert.equal(
    fromInteger(binary64, state, unsignedWord, 0xffff_ffff_ffff_fffbn),
    bitsOf(2 ** 32 - 5),
  );
  assert.equal(state.flags, 0);
  assert.equal(fromInteger(binary64, state, unsignedLong, 2n ** 64n - 1n), bitsOf(2 ** 64));
  assert.equal(state.flags, Flag.inexact);
  state.rounding = Rounding.towardZero;
  assert.equal(fromInteger(binary32, state, long, 2n ** 24n + 1n), 0x4b800000n);
});

test('minimum and maximum order the zeros and prefer numbers to NaNs', () => {
  const state = { rounding: 0, flags: 0 };
  assert.equal(minimum(binary64, state, 0n, bitsOf(-0)), bitsOf(-0));
  assert.equal(maximum(binary64, state, bitsOf(-0), 0n), 0n);
  assert.equal(minimum(binary64, state, binary64.canonicalNaN, bitsOf(3)), bitsOf(3));
  assert.equal(maximum(binary64, state, bitsOf(-2), bitsOf(-3)), bitsOf(-2));
  assert.equal(state.flags, 0);
  assert.equal(minimum(binary64, state, 0x7ff0000000000001n, bitsOf(3)), bitsOf(3));
  assert.equal(state.flags, Flag.invalid);
});

test('equality is quiet and ordering is signaling', () => {
  const state = { rounding: 0, flags: 0 };
  assert.equal(equal(binary64, state, 0n, bitsOf(-0)), 1n);
  assert.equal(equal(binary64, state, binary64.canonicalNaN, 0n), 0n);
  assert.equal(state.flags, 0);
  assert.equal(lessThan(binary64, state, bitsOf(-2), bitsOf(-1)), 1n);
  assert.equal(lessThan(binary64, state, bitsOf(-0), 0n), 0n);
  assert.equal(lessThan(binary64, state, binary64.canonicalNaN, 0n), 0n);
  assert.equal(state.flags, Flag.invalid);
});

test('classification names one of ten classes', () => {
  const values = [-Infinity, -1, -5e-324, -0, 0, 5e-324, 1, Infinity];
  assert.deepEqual(
    values.map((value) => classify(binary64, bitsOf(value))),
    values.map((_, at) => 1n << BigInt(at)),
  );
  assert.equal(classify(binary32, 0x7f800001n), 1n << 8n);
  assert.equal(classify(binary32, 0x7fc00000n), 1n << 9n);
});
