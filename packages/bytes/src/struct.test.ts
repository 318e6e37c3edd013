import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  AnoleError,
  array,
  be,
  bytes,
  type Field,
  i8,
  i16,
  i32,
  i53,
  i64,
  le,
  pad,
  struct,
  u8,
  u16,
  u32,
  u53,
  u64,
  viewOf,
} from './index.ts';

const Point = struct('point', 4, { x: u16, y: u16 });
const Record = struct('record', 32, {
  id: u64,
  size: u53,
  kind: u8,
  reserved: pad(1),
  delta: be(u16),
  corner: Point,
  tag: bytes(2),
  trail: array(u16, 3),
});

function coded(code: string) {
  return (error: unknown) => AnoleError.is(error) && error.code === code;
}

test('a structure is laid out field after field, in its byte order', () => {
  const value = {
    id: 0x0102030405060708n,
    size: 0x1122334455,
    kind: 7,
    delta: 0xabcd,
    corner: { x: 1, y: 2 },
    tag: Uint8Array.of(8, 9),
    trail: [10, 11, 12],
  };
  const encoded = Record.encode(value);
  assert.equal(
    Buffer.from(encoded).toString('hex'),
    '0807060504030201' + '5544332211000000' + '0700abcd' + '01000200' + '0809' + '0a000b000c00',
  );
  assert.deepEqual(Record.decode(encoded), value);
  assert.equal(Record.offsets.corner, 20);
});

test('a declaration that does not add up is refused', () => {
  assert.throws(() => struct('short', 4, { a: u16 }), coded('STRUCT_BAD_DECLARATION'));
});

test('a cursor reads and writes the memory itself and can be moved', () => {
  const memory = new Uint8Array(12);
  const cursor = Point.at(viewOf(memory), 4);
  cursor.x = 0x1234;
  assert.deepEqual([...memory.subarray(4, 6)], [0x34, 0x12]);
  memory[6] = 9;
  assert.equal(cursor.y, 9);
  cursor.$move(8);
  assert.equal(cursor.x, 0);
  assert.throws(() => cursor.$move(9), coded('STRUCT_OUT_OF_RANGE'));
});

test('a view is confined to its bytes', () => {
  const memory = new Uint8Array(16).subarray(4, 8);
  assert.deepEqual(Point.read(viewOf(memory)), { x: 0, y: 0 });
  assert.throws(() => Point.read(viewOf(memory), 1), coded('STRUCT_OUT_OF_RANGE'));
  assert.throws(() => Point.at(viewOf(memory), -1), coded('STRUCT_OUT_OF_RANGE'));
  assert.throws(() => Point.at(viewOf(memory), 0.5), coded('STRUCT_OUT_OF_RANGE'));
});

test('values that do not fit their field are refused, not cut', () => {
  assert.throws(() => Point.encode({ x: 65536, y: 0 }), coded('STRUCT_BAD_VALUE'));
  assert.throws(() => Point.encode({ x: -1, y: 0 }), coded('STRUCT_BAD_VALUE'));
  assert.throws(() => Point.encode({ x: 0.5, y: 0 }), coded('STRUCT_BAD_VALUE'));
  const Big = struct('big', 16, { a: u64, b: u53 });
  assert.throws(() => Big.encode({ a: 1n << 64n, b: 0 }), coded('STRUCT_BAD_VALUE'));
  assert.throws(() => Big.encode({ a: 0n, b: 2 ** 53 }), coded('STRUCT_BAD_VALUE'));
});

test('a u53 that holds more than a number can say is an error, not a wrong number', () => {
  const Size = struct('size', 8, { size: u53 });
  const memory = new Uint8Array(8).fill(0xff);
  assert.throws(() => Size.decode(memory), coded('STRUCT_BAD_VALUE'));
  assert.throws(() => Size.at(viewOf(memory)).size, coded('STRUCT_BAD_VALUE'));
  assert.equal(Size.decode(Size.encode({ size: 2 ** 53 - 1 })).size, 2 ** 53 - 1);
});

test('padding is written as zeros over what was there', () => {
  const Padded = struct('padded', 4, { a: u8, rest: pad(3) });
  const memory = new Uint8Array(4).fill(0xff);
  Padded.write(viewOf(memory), 0, { a: 1 });
  assert.deepEqual([...memory], [1, 0, 0, 0]);
});

const scalars: readonly [string, Field<unknown>, fc.Arbitrary<unknown>][] = [
  ['u8', u8, fc.integer({ min: 0, max: 255 })],
  ['u16', u16, fc.integer({ min: 0, max: 65535 })],
  ['u32', u32, fc.integer({ min: 0, max: 2 ** 32 - 1 })],
  ['u64', u64, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })],
  ['u53', u53, fc.maxSafeNat()],
  ['i8', i8, fc.integer({ min: -128, max: 127 })],
  ['i16', i16, fc.integer({ min: -32768, max: 32767 })],
  ['i32', i32, fc.integer()],
  ['i53', i53, fc.maxSafeInteger()],
  ['i64', i64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
];

for (const [name, field, values] of scalars) {
  test(`${name} survives both byte orders, by object and by cursor`, () => {
    const S = struct('pair', 2 * field.size, { little: le(field), big: be(field) });
    fc.assert(
      fc.property(values, (value) => {
        const encoded = S.encode({ little: value, big: value });
        const big = encoded.subarray(field.size);
        assert.deepEqual([...encoded.subarray(0, field.size)], [...big].reverse());
        assert.deepEqual(S.decode(encoded), { little: value, big: value });
        const cursor = S.at(viewOf(encoded));
        assert.equal(cursor.big, value);
        cursor.big = value;
        assert.equal(cursor.big, value);
      }),
      { seed: 1, numRuns: 200 },
    );
  });
}
