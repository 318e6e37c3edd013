import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileKernel } from './kernel.ts';

const memory = new WebAssembly.Memory({ initial: 1 });
const bytes = new Uint8Array(memory.buffer);

/** The exports of a kernel, as functions. */
function run(text: string): Record<string, (...values: never[]) => number | bigint> {
  const module = new WebAssembly.Module(compileKernel(text));
  return new WebAssembly.Instance(module, { env: { memory } }).exports as never;
}

/** A function of two integers whose body is `return <expression>;`. */
function evaluate(expression: string): (a: number, b: number) => number {
  return run(`export function f(a, b): i32 { return ${expression}; }`)['f'] as never;
}

const expressions: readonly string[] = [
  'a + b * 3 - 7',
  '(a ^ b) & ~a | b << 3',
  'a >> 2 ^ b >>> 5',
  'a - -b',
  'a < b && b < 100 || a == b',
  '!(a > b) && (a != 5 || b <= a)',
  'a >= b',
];

for (const expression of expressions) {
  test(`${expression} is what JavaScript makes of it`, () => {
    const ours = evaluate(expression);
    const theirs = new Function('a', 'b', `return (${expression}) | 0;`) as typeof ours;
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (a, b) => {
        // Products of integers are cut to 32 bits here, and rounded there.
        fc.pre(!expression.includes('*') || Math.abs(b) < 2 ** 20);
        assert.equal(ours(a, b), theirs(a, b));
      }),
      { seed: 3 },
    );
  });
}

test('division, comparison below and counting are of bits without a sign', () => {
  assert.equal(evaluate('a / b')(-2, 16), 0x0fffffff);
  assert.equal(evaluate('a % b')(-1, 16), 15);
  assert.equal(evaluate('below(a, b)')(5, -1), 1);
  assert.equal(evaluate('ctz(a) * 100 + clz(b)')(8, 1), 331);
  assert.equal(evaluate('select(a < b, 10, 20)')(1, 2), 10);
});

test('loops, conditions and calls', () => {
  const { f, g } = run(`
    const STEP = 2;
    function odd(value): i32 { return value & 1; }
    inline function half(value): i32 {
      if (odd(value)) return (value - 1) >> 1;
      return value >> 1;
    }
    // Halves until one is left; stops at 1000 steps.
    export function f(value): i32 {
      let steps = 0;
      while (1) {
        if (value <= 1) break;
        value = half(value);
        steps += 1;
        if (steps < 1000) continue;
        return -1;
      }
      return steps * STEP;
    }
    export function g(value: i64): i64 { return (value << 40) ^ extend(7) | 1; }`);
  assert.equal(f!(1_000_000 as never), 38);
  assert.equal(g!(1n as never), (1n << 40n) ^ 7n);
});

test('memory is read, written, copied and filled', () => {
  bytes.fill(0);
  const { f } = run(`
    export function f(at): i32 {
      u8[at + 1] = 0x1ff;
      u16[at + 2] = 0x20304;
      i64[at + 8] = i64[at] << 8;
      copy(at + 32, at, 16);
      copy16(at + 64, at);
      set(at + 4, 9, 2);
      return i32[at + 32] + u8[at + 4] + u16[at + 2];
    }`);
  assert.equal(f!(100 as never), (0x0304ff00 + 9 + 0x0304) | 0);
  assert.deepEqual([...bytes.subarray(132, 148)], [...bytes.subarray(164, 180)]);
});

const wrong: readonly (readonly [string, RegExp])[] = [
  ['export function f(): i32 { return x; }', /line 1 .*x is not known/],
  ['export function f(): i32 {\n  return 1 }', /line 2 .*; is missing/],
  ['export function f(a: i64): i32 { return a; }', /i32 is wanted, not i64/],
  ['function f() { break; }', /no loop is around/],
  ['function f() { g(); }', /g is no function/],
  ['function f(a) { } function g() { f(); }', /other parameters/],
  ['function f(a: f32) { }', /f32 is no type/],
  ['function f() { a # b; }', /Cannot read a kernel/],
  ['function f() {', /} is missing/],
];

for (const [text, message] of wrong) {
  test(`${text.split('\n')[0]} is refused`, () => {
    assert.throws(() => compileKernel(text), message);
  });
}
