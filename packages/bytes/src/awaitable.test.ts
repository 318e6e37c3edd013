import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Awaitable, chain, flow, isPromise, wait } from './index.ts';

function sum(values: readonly Awaitable<number>[]): Awaitable<number> {
  return flow(function* () {
    let total = 0;
    for (const value of values) total += yield* wait(value);
    return total;
  });
}

test('a flow over values that are there returns at once', () => {
  assert.equal(sum([1, 2, 3]), 6);
});

test('a flow over one pending value becomes a promise', async () => {
  const result = sum([1, Promise.resolve(2), 3]);
  assert.ok(isPromise(result));
  assert.equal(await result, 6);
});

test('errors pass through a flow, and the flow can catch them', async () => {
  const failing = () => Promise.reject(new Error('gone'));
  await assert.rejects(async () => sum([1, failing()]), /gone/);
  const rescued = flow(function* () {
    try {
      return yield* wait<string>(failing());
    } catch {
      return 'rescued';
    }
  });
  assert.equal(await rescued, 'rescued');
  assert.throws(
    () =>
      // biome-ignore lint/correctness/useYield: the point is a flow that fails before it waits
      flow(function* () {
        throw new Error('at once');
      }),
    /at once/,
  );
});

test('a flow that stops early runs its finally blocks', async () => {
  const order: string[] = [];
  const result = flow(function* () {
    try {
      yield* wait(Promise.resolve());
      return 'done';
    } finally {
      order.push('finally');
    }
  });
  assert.equal(await result, 'done');
  assert.deepEqual(order, ['finally']);
});

test('chain applies at once or later', async () => {
  const double = (n: number) => n * 2;
  assert.equal(chain(2, double), 4);
  assert.equal(await chain(Promise.resolve(2), double), 4);
});
