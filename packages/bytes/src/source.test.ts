import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnoleError, checkRange, lendingSource, memorySource } from './index.ts';

function outOfRange(error: unknown) {
  return AnoleError.is(error) && error.code === 'SOURCE_OUT_OF_RANGE';
}

test('a Source in memory gives exactly the bytes asked for, without a copy', () => {
  const bytes = Uint8Array.of(1, 2, 3, 4);
  const source = memorySource(bytes);
  const read = source.read(1, 2) as Uint8Array;
  assert.deepEqual([...read], [2, 3]);
  assert.equal(read.buffer, bytes.buffer);
  assert.equal((source.read(4, 0) as Uint8Array).length, 0);
});

test('a range outside the Source is refused', () => {
  const source = memorySource(new Uint8Array(4));
  assert.throws(() => source.read(3, 2), outOfRange);
  assert.throws(() => source.read(-1, 2), outOfRange);
  for (const [offset, length] of [
    [0, -1],
    [Number.NaN, 1],
    [0.5, 1],
    [2 ** 53, 1],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    [0, Number.POSITIVE_INFINITY],
  ] as const) {
    assert.throws(() => checkRange(offset, length, Number.POSITIVE_INFINITY), outOfRange);
  }
});

test('a lending Source reads into the same memory again, unless asked for more than it keeps', () => {
  const bytes = Uint8Array.from({ length: 3 * 2 ** 20 }, (_, at) => at * 7);
  let closed = 0;
  const source = lendingSource({
    ...memorySource(bytes),
    readInto: (offset, target) => target.set(bytes.subarray(offset, offset + target.length)),
    close: () => void closed++,
  });
  const first = source.read(100, 4096) as Uint8Array;
  assert.deepEqual(first, bytes.subarray(100, 4196));
  const second = source.read(5000, 10) as Uint8Array;
  assert.deepEqual(second, bytes.subarray(5000, 5010));
  assert.equal(second.buffer, first.buffer);
  const long = source.read(1, 2 ** 21) as Uint8Array;
  assert.deepEqual(long, bytes.subarray(1, 1 + 2 ** 21));
  assert.notEqual(long.buffer, second.buffer);
  assert.deepEqual(second, bytes.subarray(5000, 5010));
  source.close?.();
  assert.equal(closed, 1);
});

test('an error carries its code, its values and the next step', () => {
  const cause = new Error('below');
  const error = new AnoleError('X_BROKEN', 'Cannot do: 3', {
    cause,
    details: { met: 3 },
    hint: 'try 4',
  });
  assert.equal(error.cause, cause);
  assert.deepEqual([error.code, error.details, error.hint], ['X_BROKEN', { met: 3 }, 'try 4']);
  assert.ok(AnoleError.is(error));
  assert.ok(!AnoleError.is(cause));
  assert.ok(!AnoleError.is(null));
});
