import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chunksOf, encodeTable, storedRanges } from './chunks.ts';

test('every byte of an extent is stored once, in whole chunks', () => {
  const gap = fc.record({ hole: fc.nat(40_000), data: fc.integer({ min: 1, max: 9000 }) });
  fc.assert(
    fc.property(fc.array(gap, { minLength: 1, maxLength: 20 }), fc.nat(50_000), (gaps, rest) => {
      let offset = 0;
      const extents = gaps.map(({ hole, data }) => {
        const extent = { offset: offset + hole, length: data };
        offset += hole + data;
        return extent;
      });
      const size = offset + rest;
      const chunks = chunksOf(size, extents, 4096);
      if (chunks === undefined) return;
      const ranges = storedRanges(chunks, size);
      let end = -1;
      for (const range of ranges) {
        assert.ok(range.offset > end && range.offset % chunks.size === 0 && range.length > 0);
        end = range.offset + range.length;
        assert.ok(end <= size && (end % chunks.size === 0 || end === size));
      }
      for (const extent of extents) {
        const holds = ranges.some(
          (range) =>
            range.offset <= extent.offset &&
            range.offset + range.length >= extent.offset + extent.length,
        );
        assert.ok(holds);
      }
    }),
    { seed: 4 },
  );
});

test('the table numbers blocks in a row and marks holes', () => {
  const chunks = chunksOf(40_960, [{ offset: 4096, length: 8192 }], 4096);
  assert.ok(chunks);
  const place = { startBlock: 50, blockSize: 4096, indexes: false };
  const table = new Uint32Array(encodeTable(chunks, 32, place).buffer);
  assert.deepEqual([...table.subarray(0, 5)], [0xffffffff, 50, 51, 0xffffffff, 0xffffffff]);
});

test('a file without holes worth keeping is stored whole', () => {
  assert.equal(chunksOf(40_960, [{ offset: 0, length: 40_960 }], 4096), undefined);
  assert.equal(chunksOf(8000, [{ offset: 4000, length: 200 }], 4096), undefined);
});

test('the table of a very large file stays small', () => {
  const chunks = chunksOf(2 ** 40, [], 4096);
  assert.ok(chunks && chunks.count <= 16_384);
});
