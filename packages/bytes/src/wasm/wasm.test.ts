import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assemble } from './assemble.ts';
import {
  atomicFence,
  block,
  br,
  brIf,
  brTable,
  type Code,
  call,
  choose,
  f64,
  get,
  i32,
  i64,
  type Local,
  label,
  load,
  loop,
  memoryCopy,
  memoryFill,
  op,
  ramAtomic,
  ramLoad,
  ret,
  set,
  store,
  tee,
  when,
} from './code.ts';
import { signed, unsigned } from './leb128.ts';
import { ModuleBuilder } from './module.ts';
import { atomicOpcodes, memoryOpcodes, opcodes, saturatingOpcodes } from './opcodes.ts';

type Exports = Record<string, (...args: (number | bigint)[]) => number | bigint>;

async function instantiate(
  builder: ModuleBuilder,
  imports: Record<string, WebAssembly.ImportValue> = {},
): Promise<Exports> {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const env = { memory, ...imports };
  const { instance } = await WebAssembly.instantiate(builder.bytes(), { env });
  return instance.exports as Exports;
}

describe('LEB128', () => {
  test('numbers are written as the standard shows', () => {
    assert.deepEqual(unsigned(624485), [0xe5, 0x8e, 0x26]);
    assert.deepEqual(unsigned(0xffffffff), [0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert.deepEqual(signed(-123456n), [0xc0, 0xbb, 0x78]);
    assert.deepEqual(signed(64n), [0xc0, 0x00]);
    assert.deepEqual(signed(-64n), [0x40]);
  });
});

describe('the WebAssembly builder', () => {
  test('constants of any size come out as they went in', async () => {
    const builder = new ModuleBuilder(1);
    const words = [0, 1, -1, 63, 64, -64, -65, 0x7fffffff, -0x80000000, 0xdeadbeef];
    const longs = [0n, -1n, 1n << 62n, -(1n << 63n), (1n << 64n) - 1n, 127n, 128n];
    for (const [index, value] of words.entries()) {
      builder.function({ params: [], results: ['i32'] }, () => i32(value), `w${index}`);
    }
    for (const [index, value] of longs.entries()) {
      builder.function({ params: [], results: ['i64'] }, () => i64(value), `l${index}`);
    }
    builder.function({ params: [], results: ['f64'] }, () => f64(-0.1), 'f');
    const exports = await instantiate(builder);
    for (const [index, value] of words.entries()) assert.equal(exports[`w${index}`]!(), value | 0);
    for (const [index, value] of longs.entries()) {
      assert.equal(exports[`l${index}`]!(), BigInt.asIntN(64, value));
    }
    assert.equal(exports['f']!(), -0.1);
  });

  test('loops, blocks and locals: a sum', async () => {
    const builder = new ModuleBuilder(1);
    builder.function(
      { params: ['i32'], results: ['i32'] },
      (scope) => {
        const [n] = scope.params as [Local];
        const sum = scope.local('i32');
        const again = label('again');
        const done = label('done');
        return [
          block(
            done,
            loop(
              again,
              brIf(op('i32.eqz', get(n)), done),
              set(sum, op('i32.add', get(sum), get(n))),
              set(n, op('i32.sub', get(n), i32(1))),
              br(again),
            ),
          ),
          get(sum),
        ];
      },
      'sum',
    );
    assert.equal((await instantiate(builder))['sum']!(100), 5050);
  });

  test('br_table goes to the label of the index, or to the fallback', async () => {
    const builder = new ModuleBuilder(1);
    builder.function(
      { params: ['i32'], results: ['i32'] },
      ({ params: [index] }) => {
        const [a, b, other] = [label('a'), label('b'), label('other')];
        return [
          block(
            other,
            block(b, block(a, brTable(get(index!), [a, b, a], other)), ret(i32(10))),
            ret(i32(20)),
          ),
          i32(30),
        ];
      },
      'pick',
    );
    const { pick } = await instantiate(builder);
    assert.deepEqual(
      [0, 1, 2, 3, -1].map((index) => pick!(index)),
      [10, 20, 10, 30, 30],
    );
  });

  test('functions call imports and each other, in any order', async () => {
    const builder = new ModuleBuilder(1);
    const twice = builder.importFunction('twice', { params: ['i32'], results: ['i32'] });
    const signature = { params: ['i32'], results: ['i32'] } as const;
    const later = builder.declare(signature);
    builder.function(signature, ({ params: [x] }) => call(later, call(twice, get(x!))), 'run');
    builder.define(later, signature, ({ params: [x] }) => op('i32.add', get(x!), i32(1)));
    const exports = await instantiate(builder, { twice: (x: number) => 2 * x });
    assert.equal(exports['run']!(20), 41);
  });

  test('memory, conditions and choices', async () => {
    const builder = new ModuleBuilder(1);
    builder.function(
      { params: ['i32'], results: ['i64'] },
      (scope) => {
        const [x] = scope.params as [Local];
        const value = scope.local('i64');
        return [
          memoryFill(i32(16), i32(0xff), i32(4)),
          memoryCopy(i32(8), i32(16), i32(4)),
          when(
            get(x),
            store('i64.store8', i32(0), i64(5), 8),
            store('i32.store16', i32(8), i32(0)),
          ),
          set(value, tee(value, load('i64.load32_u', i32(4), 4))),
          choose('i64', op('i32.gt_s', get(x), i32(1)), i64(-1), get(value)),
        ];
      },
      'run',
    );
    const { run } = await instantiate(builder);
    assert.deepEqual(
      [0, 1, 2].map((x) => run!(x)),
      [0xffff0000n, 0xffffff05n, -1n],
    );
  });

  test('every operator is valid in a module', () => {
    const builder = new ModuleBuilder(1);
    const zero: Readonly<Record<string, Code>> = {
      i32: i32(0),
      i64: i64(0),
      f32: op('f32.demote_f64', f64(0)),
      f64: f64(0),
    };
    const names = [...Object.keys(opcodes), ...Object.keys(saturatingOpcodes)];
    for (const name of names.filter((each) => each.includes('.'))) {
      const [type, rest] = name.split('.') as [string, string];
      const source = rest.match(/_(i32|i64|f32|f64)/)?.[1] ?? type;
      const one =
        /eqz|clz|ctz|popcnt|abs|neg|sqrt|extend|wrap|trunc|convert|demote|promote|reinterpret/;
      const argument = zero[source]!;
      const args = one.test(rest) ? [argument] : [argument, argument];
      builder.function({ params: [], results: [] }, () =>
        op('drop', op(name as keyof typeof opcodes, ...args)),
      );
    }
    for (const name of Object.keys(memoryOpcodes) as (keyof typeof memoryOpcodes)[]) {
      const code = name.includes('load')
        ? op('drop', load(name, i32(0)))
        : store(name, i32(0), zero[name.slice(0, 3)]!);
      builder.function({ params: [], results: [] }, () => code);
    }
    assert.equal(WebAssembly.validate(builder.bytes()), true);
  });

  test('RAM is the first memory, or the second one where threads share it', () => {
    assert.deepEqual([...assemble(ramLoad('i64.load', i32(0), 200))], [0x41, 0, 0x29, 0, 0xc8, 1]);
    assert.deepEqual([...assemble(ramLoad('i64.load', i32(0)), 1)], [0x41, 0, 0x29, 0x40, 1, 0]);
    const fenced = [atomicFence, op('drop', ramAtomic('i32.atomic.load', i32(0)))];
    assert.deepEqual([...assemble(fenced, 1)], [0xfe, 3, 0, 0x41, 0, 0xfe, 0x10, 0x42, 1, 0, 0x1a]);
  });

  test('the host accepts every atomic access to shared RAM', () => {
    const builder = new ModuleBuilder(1, true);
    for (const name of Object.keys(atomicOpcodes) as (keyof typeof atomicOpcodes)[]) {
      const zero = name.startsWith('i32') ? i32(0) : i64(0);
      const values = name.includes('cmpxchg') ? [zero, zero] : name.includes('rmw') ? [zero] : [];
      const code = op('drop', ramAtomic(name, i32(0), values));
      builder.function({ params: [], results: [] }, () => code);
    }
    assert.equal(WebAssembly.validate(builder.bytes()), true);
  });

  test('a branch to a label that is not around it is refused', () => {
    const builder = new ModuleBuilder(1);
    assert.throws(
      () => builder.function({ params: [], results: [] }, () => br(label('nowhere'))),
      /nowhere/,
    );
  });
});
