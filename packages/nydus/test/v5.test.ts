import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource, viewOf } from '@anole/bytes';
import { describeDifferences } from '@anole/vfs';
import fc from 'fast-check';
import { edgeTree } from '../../erofs/test/trees.ts';
import { arbitraryTree } from '../../vfs/test/trees.ts';
import { checkRafs, mergeRafs } from '../src/index.ts';
import { superFlags } from '../src/layout/algorithms.ts';
import { V5Superblock } from '../src/layout/v5.ts';
import { v5Image } from './v5-image.ts';
import { opened, written } from './written.ts';

test('an image of RAFS v5 reads as the tree that it was made of', async () => {
  const tree = edgeTree();
  const { bootstrap, blobs } = await v5Image(tree);
  const image = await opened(bootstrap, blobs);
  assert.equal(image.version, 5);
  assert.equal(await describeDifferences(tree, image), '');
  const { findings, verified } = await checkRafs(image, memorySource(bootstrap));
  assert.deepEqual(findings, []);
  assert.ok(verified > 0);
});

test('the first images of RAFS v5 do not say that their chunks are in LZ4, and proven by BLAKE3', async () => {
  const tree = edgeTree();
  const { bootstrap, blobs } = await v5Image(tree);
  V5Superblock.at(viewOf(bootstrap)).flags = superFlags.explicitOwners;
  const image = await opened(bootstrap, blobs);
  assert.deepEqual([image.compressor, image.digester], ['lz4_block', 'blake3']);
  assert.equal(await describeDifferences(tree, image), '');
  assert.deepEqual((await checkRafs(image, memorySource(bootstrap))).findings, []);
});

test('any tree in RAFS v5 reads back the same', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryTree, async (tree) => {
      const { bootstrap, blobs } = await v5Image(tree);
      assert.equal(await describeDifferences(tree, await opened(bootstrap, blobs)), '');
    }),
    { seed: 61, numRuns: 60 },
  );
});

test('an image of RAFS v5 becomes one of v6', async () => {
  const tree = edgeTree();
  const old = await v5Image(tree);
  const { bootstrap, blobs } = await written(await opened(old.bootstrap, old.blobs));
  assert.equal(await describeDifferences(tree, await opened(bootstrap, blobs)), '');
});

test('RAFS v5 is not merged', async () => {
  const { bootstrap, blobs } = await v5Image(edgeTree());
  const image = await opened(bootstrap, blobs);
  await assert.rejects(mergeRafs([{ image }]), { code: 'RAFS_BAD_OPTION' });
});
