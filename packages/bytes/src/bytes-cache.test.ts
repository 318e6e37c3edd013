import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BytesBudget, BytesCache, cachedSource, memorySource } from './index.ts';

const KIB = 1024;
const made = (cache: BytesCache, key: string, size: number) =>
  cache.get(key) ?? cache.make(key, true, () => new Uint8Array(size));

describe('memory that caches share', () => {
  it('goes to who uses it: the longest unused piece of all makes room', () => {
    const budget = new BytesBudget(10);
    const [one, two] = [new BytesCache(budget), new BytesCache(budget)];
    made(one, 'a', 4);
    made(two, 'a', 4);
    made(one, 'a', 4);
    made(two, 'b', 4);
    assert.deepEqual(
      [one.get('a')?.constructor, two.get('a'), two.get('b')?.constructor],
      [Uint8Array, undefined, Uint8Array],
    );
    made(two, 'large', 100);
    assert.deepEqual([one.get('a'), two.get('b')], [undefined, undefined]);
    assert.ok(two.get('large'), 'the last piece is kept whatever its size');
  });

  it('is free again when all of it is given up, and takes in more', () => {
    const budget = new BytesBudget(10);
    const cache = new BytesCache(budget);
    made(cache, 'a', 4);
    made(cache, 'b', 4);
    budget.clear();
    assert.deepEqual([cache.get('a'), cache.get('b')], [undefined, undefined]);
    made(cache, 'c', 5);
    made(cache, 'd', 5);
    assert.ok(cache.get('c') && cache.get('d'), 'both fit');
  });

  it('is free again when a cache is closed', async () => {
    const budget = new BytesBudget(64 * KIB);
    let reads = 0;
    const counted = () => {
      const inner = memorySource(new Uint8Array(64 * KIB));
      const read = (offset: number, length: number) => {
        reads++;
        return inner.read(offset, length);
      };
      return cachedSource({ size: inner.size, read }, { cacheSize: budget });
    };
    const [one, two] = [counted(), counted()];
    await one.read(0, 32 * KIB);
    await two.read(0, 32 * KIB);
    await one.read(0, 32 * KIB);
    assert.equal(reads, 2, 'both fit');
    await one.close?.();
    await two.read(32 * KIB, 32 * KIB);
    await two.read(0, 64 * KIB);
    assert.equal(reads, 3, 'all of one fits where the other had been');
  });
});
