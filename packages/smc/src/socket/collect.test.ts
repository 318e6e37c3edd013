import assert from 'node:assert/strict';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { countGiven } from './collect.ts';

const MEGA = 1 << 20;

/** Collections while 200 MB are given in pieces of 64 KiB, each of which is dropped. */
async function collections(
  note: (bytes: number) => void,
): Promise<{ minor: number; major: number }> {
  const seen = { minor: 0, major: 0 };
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as unknown as { detail: { kind: number } }).detail;
      if (kind === constants.NODE_PERFORMANCE_GC_MINOR) seen.minor++;
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) seen.major++;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  for (let given = 0; given < 200 * MEGA; given += 65536) {
    note(Buffer.allocUnsafeSlow(65536).length);
    if (given % (4 * MEGA) === 0) await nextTurn();
  }
  await nextTurn();
  observer.disconnect();
  return seen;
}

test('what streams leave is collected while it is young, so that all of the heap seldom is', async () => {
  const plain = await collections(() => {});
  const counted = await collections(countGiven);
  assert.ok(counted.minor >= 4, `${counted.minor} of the youngest`);
  assert.ok(counted.major < plain.major, `${counted.major} of all, ${plain.major} without`);
});

test('programs do not get to see the function that collects', () => {
  countGiven(1 << 30);
  assert.equal(Reflect.get(globalThis, 'gc'), undefined);
  assert.equal(runInNewContext('typeof gc'), 'undefined');
});
