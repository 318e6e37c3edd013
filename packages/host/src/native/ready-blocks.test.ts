import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReadyBlocks } from './ready-blocks.ts';

const BLOCK = 4096;

test('what is there is what lies in blocks that were put whole and not taken back, seen by another thread', () => {
  const size = 70 * BLOCK + 100;
  const offset = fc.integer({ min: 0, max: size });
  const range = fc.tuple(offset, offset).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), range), { maxLength: 6 }),
      range,
      (calls, [start, end]) => {
        const ready = new ReadyBlocks(size);
        const there = new Set<number>();
        for (const [isLost, [from, to]] of calls) {
          if (isLost) ready.take(from, to);
          else ready.put(from, to);
          for (let block = 0; block * BLOCK < size; block++) {
            const isWhole = block * BLOCK >= from && Math.min(size, (block + 1) * BLOCK) <= to;
            const isTouched = from < to && block * BLOCK < to && (block + 1) * BLOCK > from;
            if (isLost && isTouched) there.delete(block);
            if (!isLost && isWhole) there.add(block);
          }
        }
        let expected = true;
        for (let block = Math.floor(start / BLOCK); block * BLOCK < end; block++) {
          if (!there.has(block)) expected = false;
        }
        const other = new ReadyBlocks(size, ready.words);
        assert.equal(other.has(start, end - start), expected);
      },
    ),
    { seed: 263, numRuns: 500 },
  );
});

test('a range may go over the end of the file, as those of the kernel do', () => {
  const ready = new ReadyBlocks(BLOCK + 1);
  assert.equal(ready.has(0, 64 * 1024), false);
  ready.put(0, BLOCK + 1);
  assert.equal(ready.has(0, 64 * 1024), true);
  assert.equal(ready.has(64 * 1024, Number.MAX_SAFE_INTEGER), true);
});

test('of a file of a petabyte only the beginning is noted', () => {
  const size = 2 ** 50;
  const ready = new ReadyBlocks(size);
  assert.equal(ready.words.byteLength, 2 ** 21);
  ready.put(0, size);
  assert.equal(ready.has(2 ** 36 - BLOCK, BLOCK), true);
  assert.equal(ready.has(2 ** 36 - BLOCK, 2 * BLOCK), false);
  assert.equal(ready.has(2 ** 50 - BLOCK, BLOCK), false);
});
