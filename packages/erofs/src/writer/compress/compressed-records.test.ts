import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Compressed } from './compressed.ts';
import { CompressedRecords } from './compressed-records.ts';

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const long = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

const arbitrary: fc.Arbitrary<Compressed> = fc
  .record(
    {
      algorithm: fc.constantFrom('lz4', 'lzma', 'deflate', 'zstd'),
      blockBits: fc.integer({ min: 9, max: 14 }),
      big: fc.boolean(),
      // Some larger than a page of records.
      extents: fc
        .tuple(word, fc.oneof(fc.nat(20), fc.constant(40_000)))
        .map(([value, count]) => new Uint32Array(count * 3).fill(value)),
      places: fc.option(
        fc.uint32Array({ minLength: 1, maxLength: 20 }).map((places) => Uint32Array.from(places)),
        { nil: undefined },
      ),
      lclusters: word,
      firstBlock: word,
      blocks: word,
      inline: fc.option(fc.record({ inlineSize: word.filter((size) => size > 0), inlineAt: long })),
      fragmentOffset: fc.option(long, { nil: undefined }),
      wholeFragment: fc.boolean(),
    },
    { noNullPrototype: true },
  )
  .map(({ inline, ...rest }) => ({ ...rest, ...(inline ?? { inlineSize: 0, inlineAt: 0 }) }));

test('records give what they were given', () => {
  fc.assert(
    fc.property(fc.array(arbitrary, { maxLength: 30 }), (all) => {
      const records = new CompressedRecords();
      const addresses = all.map((one) => records.add(one));
      assert.ok(addresses.every((address) => address > 0 && address < 2 ** 32));
      assert.deepEqual(
        addresses.map((address) => records.at(address)),
        all,
      );
    }),
    { seed: 5, numRuns: 50 },
  );
});
