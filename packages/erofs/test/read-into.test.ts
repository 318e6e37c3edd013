import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource, type Source } from '@anole/bytes';
import { walk } from '@anole/vfs';
import fc from 'fast-check';
import { openErofs, type WriteOptions } from '../src/index.ts';
import { imageOf } from './judges.ts';
import { edgeTree, patterned } from './trees.ts';

const lz4 = { compressor: 'lz4', pclusterSize: 16_384 } as const;
const variants: readonly WriteOptions[] = [
  {},
  { inlineTails: false },
  { chunks: { size: 4096, indexes: true } },
  { compression: lz4 },
  { compression: { ...lz4, tails: 'inline' } },
  { compression: { ...lz4, tails: 'fragment', dedupe: true } },
];

/** Answers at once, into the reader's memory. */
function filling(bytes: Uint8Array): Source {
  const inner = memorySource(bytes);
  return {
    ...inner,
    readInto(offset, target) {
      target.set(inner.read(offset, target.length) as Uint8Array);
    },
  };
}

/** Answers later, by memory of its own. */
function later(bytes: Uint8Array): Source {
  const inner = memorySource(bytes);
  return {
    size: inner.size,
    read: async (offset, length) => ((await inner.read(offset, length)) as Uint8Array).slice(),
  };
}

for (const options of variants) {
  test(`memory of the caller gets what is read, with ${JSON.stringify(options)}`, async () => {
    const tree = edgeTree();
    tree.putFile('sizes/large', patterned(300_001));
    const bytes = await imageOf(tree, options);
    for (const source of [memorySource(bytes), filling(bytes), later(bytes)]) {
      const image = await openErofs(source);
      const files = [];
      for await (const { node } of walk(image)) if (node.stat.type === 'file') files.push(node);
      const places = fc.record({
        file: fc.constantFrom(...files),
        at: fc.nat(310_000),
        length: fc.nat(50_000),
      });
      await fc.assert(
        fc.asyncProperty(places, async ({ file, at, length }) => {
          const target = new Uint8Array(length + 8).fill(0x55);
          const wanted = new Uint8Array(await file.read(at, length));
          const count = await file.readInto!(at, target.subarray(0, length));
          assert.equal(count, wanted.length);
          assert.deepEqual(target.subarray(0, count), wanted);
          assert.ok(target.subarray(count).every((byte) => byte === 0x55));
        }),
        { seed: 7, numRuns: 150 },
      );
    }
  });
}
