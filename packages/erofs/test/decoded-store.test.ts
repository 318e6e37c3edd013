import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { memorySource } from '@anole/bytes';
import { findNode, MemoryTree } from '@anole/vfs';
import fc from 'fast-check';
import { type DecodedStore, type ErofsNode, openErofs, type WriteOptions } from '../src/index.ts';
import { imageOf } from './judges.ts';

const large = new Uint8Array(readFileSync(process.execPath).subarray(0, 600_000));
const holed = new Uint8Array(300_000);
holed.set(large.subarray(0, 50_000), 200_000);
const small = large.subarray(1000, 3500);
const files = { large, holed, small };
const lz4 = { compressor: 'lz4', pclusterSize: 16_384 } as const;

const forms: Readonly<Record<string, WriteOptions>> = {
  'as they are': {},
  'in pclusters': { compression: lz4 },
  'with ends beside inodes': { compression: { ...lz4, tails: 'inline' } },
  'with ends in fragments': { compression: { ...lz4, tails: 'fragment', dedupe: true } },
  'all of it in fragments': { compression: { ...lz4, tails: 'fragment', allFragments: true } },
};

/** Keeps all, and counts what is read there. */
function storeOfAll() {
  const pieces = new Map<string, Uint8Array>();
  const store: DecodedStore & { reads: number } = {
    reads: 0,
    keep: (key, bytes) => void pieces.set(key, bytes.slice()),
    readInto(key, from, target) {
      const piece = pieces.get(key);
      if (piece === undefined) return false;
      target.set(piece.subarray(from, from + target.length));
      store.reads++;
      return true;
    },
  };
  return store;
}

for (const [form, options] of Object.entries(forms)) {
  test(`ranges are the same from a store of decoded pieces, and in the reader's memory: ${form}`, async () => {
    const tree = new MemoryTree();
    for (const [name, content] of Object.entries(files)) tree.putFile(name, content);
    const store = storeOfAll();
    const image = memorySource(await imageOf(tree, options));
    const opened = await openErofs(image, { decodedCache: 1, decodedStore: store });
    const range = fc.record({
      name: fc.constantFrom(...(Object.keys(files) as (keyof typeof files)[])),
      offset: fc.nat({ max: 650_000 }),
      length: fc.integer({ min: 1, max: 200_000 }),
    });
    await fc.assert(
      fc.asyncProperty(range, async ({ name, offset, length }) => {
        const node = (await findNode(opened, name)) as ErofsNode;
        const wanted = files[name].subarray(offset, offset + length);
        assert.ok(Buffer.from(await node.read(offset, length)).equals(wanted), `${name} read`);
        // Memory that others have used.
        const target = new Uint8Array(length).fill(0xa5);
        assert.equal(await node.readInto(offset, target), wanted.length);
        assert.ok(Buffer.from(target.subarray(0, wanted.length)).equals(wanted), `${name} into`);
        assert.ok(target.subarray(wanted.length).every((byte) => byte === 0xa5));
      }),
      { seed: 11, numRuns: 200 },
    );
    assert.equal(store.reads > 0, 'compression' in options);
  });
}
