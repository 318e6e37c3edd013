import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { byPlace } from './places.ts';

test('inodes are put in the order of their numbers, those that lie in one block, too', () => {
  const nids = fc.uniqueArray(fc.nat(5000), { maxLength: 400 });
  fc.assert(
    fc.property(nids, fc.constantFrom(16, 128, 512), (all, perBlock) => {
      const inodes = all.map((nid) => ({ nid }));
      const placed = [...byPlace(inodes, perBlock)].map((index) => all[index]);
      assert.deepEqual(
        placed,
        all.toSorted((a, b) => a - b),
      );
    }),
    { seed: 7, numRuns: 200 },
  );
});
