import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { SandboxPool } from './pool.ts';
import type { Sandbox } from './sandbox.ts';

/** What a pool sees of a sandbox. */
class Fake {
  state = 'running';
  closed = false;
  async close(): Promise<void> {
    this.closed = true;
    this.state = 'ended';
  }
}

function poolOf(size: number, fails: () => boolean = () => false) {
  const made: Fake[] = [];
  let underWay = 0;
  let most = 0;
  const pool = new SandboxPool(
    async () => {
      underWay++;
      most = Math.max(most, underWay);
      await turn();
      underWay--;
      if (fails()) throw new Error('no room');
      const fake = new Fake();
      made.push(fake);
      return fake as unknown as Sandbox;
    },
    { size },
  );
  return { pool, made, most: () => most };
}

async function settle(): Promise<void> {
  for (let turns = 0; turns < 40; turns++) await turn();
}

test('a pool keeps as many ready as asked for, made a few at a time', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { pool, made, most } = poolOf(5);
  await settle();
  assert.deepEqual([pool.ready, made.length], [5, 5]);
  assert.ok(most() <= 2);
  const taken = [await pool.take(), await pool.take()];
  await settle();
  // Who took them works with them first.
  assert.deepEqual([pool.ready, made.length], [3, 5]);
  mock.timers.tick(100);
  await settle();
  assert.deepEqual([pool.ready, made.length], [5, 7]);
  await pool.close();
  const open = made.filter(({ closed }) => !closed);
  assert.deepEqual(open, taken as unknown as Fake[]);
});

test('who comes when none is ready gets the next one, in turn', async () => {
  const { pool, made } = poolOf(0);
  const taken = await Promise.all([pool.take(), pool.take(), pool.take()]);
  assert.deepEqual(taken as unknown as Fake[], made);
  await settle();
  assert.equal(made.length, 3);
  const controller = new AbortController();
  const late = pool.take({ signal: controller.signal });
  controller.abort(new Error('changed my mind'));
  await assert.rejects(late, /changed my mind/);
  await pool.close();
  assert.equal(made.filter(({ closed }) => closed).length, made.length - 3);
});

test('one that ended while it waited is given to nobody', async () => {
  const { pool, made } = poolOf(2);
  await settle();
  made[0]!.state = 'ended';
  assert.equal((await pool.take()) as unknown, made[1]);
  await pool.close();
});

test('what goes wrong is told to who waits, and tried again for the next one', async () => {
  let bad = true;
  const { pool, made } = poolOf(1, () => bad);
  await settle();
  assert.equal(made.length, 0);
  await assert.rejects(pool.take(), /no room/);
  bad = false;
  assert.ok(await pool.take());
  await pool.close();
});

test('a pool that was closed gives none, and keeps none that came late', async () => {
  const { pool, made } = poolOf(2);
  const waiting = pool.take();
  const closing = pool.close();
  await assert.rejects(waiting, { code: 'SANDBOX_CLOSED' });
  await closing;
  assert.ok(made.every(({ closed }) => closed));
  await assert.rejects(pool.take(), { code: 'SANDBOX_CLOSED' });
});

test('a size that no pool has is refused', () => {
  for (const size of [-1, 0.5, 1001]) {
    const make = () => Promise.reject(new Error('not asked'));
    assert.throws(() => new SandboxPool(make, { size }), { code: 'SANDBOX_BAD_OPTION' });
  }
});
