import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource, type Source } from '@anole/bytes';
import { describeDifferences, MemoryTree } from '@anole/vfs';
import fc from 'fast-check';
import { arbitraryTree, collect, utf8 } from '../../vfs/test/trees.ts';
import {
  checkErofs,
  type ErofsTree,
  openErofs,
  type WriteOptions,
  writeErofs,
} from '../src/index.ts';
import { imageOf } from './judges.ts';
import { edgeTree, patterned } from './trees.ts';

const variants: readonly WriteOptions[] = [
  {},
  { inodes: 'extended' },
  { inlineTails: false },
  { blockSize: 512 },
  { blockSize: 16384 },
  { blockSize: 65536 },
];

for (const options of variants) {
  test(`what is written reads back the same, with ${JSON.stringify(options)}`, async () => {
    const tree = edgeTree();
    const back = await openErofs(memorySource(await imageOf(tree, options)));
    assert.equal(await describeDifferences(tree, back), '');
  });
}

const arbitraryOptions: fc.Arbitrary<WriteOptions> = fc
  .record({
    blockSize: fc.constantFrom(512, 1024, 4096),
    inlineTails: fc.boolean(),
    inodes: fc.constantFrom('auto' as const, 'extended' as const),
    compactTimes: fc.boolean(),
    listDots: fc.boolean(),
    xattrPrefixes: fc.constantFrom([], ['user.a', 'user.na', 'trusted.x']),
    alignment: fc.constantFrom(1, 4),
    chunks: fc.constantFrom(undefined, { size: 16_384, indexes: true }),
    tails: fc.constantFrom(undefined, 'plain' as const, 'inline' as const, 'fragment' as const),
    dedupe: fc.boolean(),
  })
  .map(({ alignment, chunks, tails, dedupe, compactTimes, listDots, ...others }) => ({
    ...others,
    compactTimes,
    listDots: listDots || !compactTimes,
    dataAlignment: others.blockSize * alignment,
    ...(chunks && { chunks }),
    ...(tails && {
      compression: { compressor: 'lz4' as const, tails, dedupe, maxExtentBytes: 5000 },
    }),
  }));

test('any tree reads back the same with any options, and its image is sound', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryTree, arbitraryOptions, async (tree, chosen) => {
      const source = memorySource(await imageOf(tree, chosen));
      assert.equal(await describeDifferences(tree, await openErofs(source)), '');
      const { findings } = await checkErofs(source);
      assert.deepEqual(findings, []);
    }),
    { seed: 20, numRuns: 150 },
  );
});

test('a Source that answers later gives the same tree', async () => {
  const tree = edgeTree();
  const bytes = await imageOf(tree);
  const later: Source = {
    size: bytes.length,
    read: async (offset, length) => bytes.slice(offset, offset + length),
  };
  const back = await openErofs(later, { metadataCache: 1 });
  assert.equal(await describeDifferences(tree, back), '');
});

test('a Source that reuses its memory gives the same tree', async () => {
  const tree = edgeTree();
  const bytes = await imageOf(tree);
  let scratch = new Uint8Array(0);
  const reusing: Source = {
    size: bytes.length,
    read(offset, length) {
      // What was given out before is spoilt.
      scratch.fill(0xaa);
      if (scratch.length < length) scratch = new Uint8Array(length);
      scratch.set(bytes.subarray(offset, offset + length));
      return scratch.subarray(0, length);
    },
  };
  const back = await openErofs(reusing, { metadataCache: 1 });
  assert.equal(await describeDifferences(tree, back), '');
});

test('an image in memory is read without waiting', async () => {
  const back = openErofs(memorySource(await imageOf(edgeTree()))) as ErofsTree;
  const file = back.root.lookup('order');
  assert.ok(file !== undefined && !(file instanceof Promise));
  assert.ok(Array.isArray(file.list()));
});

test('the same tree and options give the same bytes; another tree another UUID', async () => {
  const one = await imageOf(edgeTree());
  assert.ok(Buffer.from(one).equals(await imageOf(edgeTree())));
  const tree = edgeTree();
  const same = await writeErofs(tree);
  tree.putFile('one-more', new Uint8Array(0));
  const other = await writeErofs(tree);
  assert.notDeepEqual(other.uuid, same.uuid);
  // Once laid out, it can be written again.
  assert.ok(Buffer.from(await collect(same)).equals(await collect(same)));
});

test('UUID, name and size of the image are as told', async () => {
  const uuid = Uint8Array.from({ length: 16 }, (_, index) => index);
  const image = await writeErofs(edgeTree(), { uuid, volumeName: 'anole-test' });
  const bytes = await collect(image);
  assert.equal(bytes.length, image.size);
  const { info } = await openErofs(memorySource(bytes));
  assert.deepEqual(info.uuid, uuid);
  assert.equal(info.volumeName, 'anole-test');
  assert.equal(info.blocks * info.blockSize, image.size);
  assert.equal(Number(info.inodes), image.inodes);
});

test('holes take no room and stay holes', async () => {
  const tree = edgeTree();
  const back = await openErofs(memorySource(await imageOf(tree)));
  const holes = await back.root.lookup('holes');
  assert.equal(holes?.layout, 'chunked');
  assert.deepEqual(await holes.extents(), [
    { offset: 4096, length: 4096 },
    { offset: 1_048_576, length: 4096 },
  ]);
  const vast = new MemoryTree();
  vast.putFile('vast', {
    size: 2 ** 43,
    extents: [{ offset: 2 ** 42, length: 5 }],
    read: (_, length) => new Uint8Array(length).fill(1),
  });
  const image = await writeErofs(vast);
  assert.ok(image.size < 600 * 2 ** 20);
});

test('attributes that many inodes have are stored once', async () => {
  const label = patterned(2000);
  const tree = new MemoryTree();
  for (let index = 0; index < 100; index++) {
    tree.putFile(`${index}`, utf8('x'), { xattrs: new Map([['user.label', label]]) });
  }
  const image = await imageOf(tree);
  assert.ok(image.length < 32768);
  const back = await openErofs(memorySource(image));
  const node = await back.root.lookup('7');
  assert.deepEqual(await node?.xattr('user.label'), label);
  assert.equal(await node?.xattr('user.absent'), undefined);
  assert.equal(await node?.xattr('nonsense'), undefined);
});

test('inodes take 32 bytes where nothing needs more', async () => {
  const tree = new MemoryTree();
  for (let index = 0; index < 1000; index++) tree.putFile(`${index}`, new Uint8Array(0));
  const compact = await imageOf(tree);
  const extended = await imageOf(tree, { inodes: 'extended' });
  assert.ok(extended.length - compact.length >= 31 * 1000);
});

test('memory does not grow with the size of files', async () => {
  const size = 256 * 1024 * 1024;
  let largest = 0;
  const piece = new Uint8Array(1024 * 1024);
  const tree = new MemoryTree();
  tree.putFile('large', {
    size,
    read(_, length) {
      largest = Math.max(largest, length);
      return piece.subarray(0, length);
    },
  });
  let total = 0;
  const before = process.memoryUsage().arrayBuffers;
  for await (const chunk of await writeErofs(tree)) total += chunk.length;
  assert.equal(total, size + 4096);
  assert.ok(largest <= piece.length);
  assert.ok(process.memoryUsage().arrayBuffers - before < 16 * 1024 * 1024);
});
