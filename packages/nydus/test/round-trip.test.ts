import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource } from '@anole/bytes';
import { describeDifferences, findNode, MemoryTree } from '@anole/vfs';
import fc from 'fast-check';
import { edgeTree, patterned } from '../../erofs/test/trees.ts';
import { arbitraryTree, utf8 } from '../../vfs/test/trees.ts';
import {
  builtInCodecs,
  ChunkDictionary,
  openRafs,
  openRafsBlob,
  type RafsWriteOptions,
} from '../src/index.ts';
import { nodeCodecs } from '../src/node/index.ts';
import { opened, written } from './written.ts';

const key = {
  key: Uint8Array.from({ length: 32 }, (_, at) => at * 7),
  iv: Uint8Array.from({ length: 16 }, (_, at) => at),
};

const variants: readonly Partial<RafsWriteOptions>[] = [
  {},
  { compressor: 'none' },
  { compressor: 'lz4_block', digester: 'sha256' },
  { chunkSize: 4096, toc: false },
  { chunkSize: 16 * 1024 * 1024 },
  { batchSize: 65536 },
  { batchSize: 1024 * 1024, compressor: 'lz4_block', chunkSize: 1024 * 1024 },
  { batchSize: 4096, compressor: 'none', chunkSize: 8192 },
  { key },
  { key, batchSize: 131072, compressor: 'none' },
];

for (const options of variants) {
  const title = JSON.stringify({ ...options, ...(options.key && { key: 'a key' }) });
  test(`what is written reads back the same, with ${title}`, async () => {
    const tree = edgeTree();
    const { bootstrap, blobs } = await written(tree, options);
    assert.equal(await describeDifferences(tree, await opened(bootstrap, blobs)), '');
  });
}

test('any tree reads back the same', async () => {
  const options = fc.record({
    compressor: fc.constantFrom('none' as const, 'lz4_block' as const, 'zstd' as const),
    digester: fc.constantFrom('blake3' as const, 'sha256' as const),
    chunkSize: fc.constantFrom(4096, 16384),
    batchSize: fc.constantFrom(0, 4096),
    toc: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(arbitraryTree, options, async (tree, chosen) => {
      const { bootstrap, blobs } = await written(tree, chosen);
      assert.equal(await describeDifferences(tree, await opened(bootstrap, blobs)), '');
    }),
    { seed: 60, numRuns: 100 },
  );
});

test('a blob that holds its bootstrap is an image by itself', async () => {
  for (const toc of [true, false]) {
    const tree = edgeTree();
    const { blobs } = await written(tree, { inlineBootstrap: true, toc });
    const blob = memorySource([...blobs.values()][0]!);
    const image = await openRafsBlob(blob, undefined, { codecs: nodeCodecs });
    assert.equal(await describeDifferences(tree, image), '');
  }
});

test('what browsers have reads the same', async () => {
  const tree = edgeTree();
  for (const digester of ['blake3', 'sha256'] as const) {
    const { bootstrap, blobs } = await written(tree, { digester });
    const later = {
      size: bootstrap.length,
      read: async (offset: number, length: number) => bootstrap.slice(offset, offset + length),
    };
    const image = await openRafs(later, async (id) => memorySource(blobs.get(id)!), {
      codecs: builtInCodecs,
      decodedCache: 1,
    });
    assert.equal(await describeDifferences(tree, image), '');
  }
});

test('the same tree and options give the same bytes', async () => {
  const first = await written(edgeTree(), { batchSize: 65536 });
  const second = await written(edgeTree(), { batchSize: 65536 });
  assert.deepEqual(first, second);
});

test('chunks that are the same are stored once', async () => {
  const tree = new MemoryTree();
  tree.putFile('a', patterned(100_000));
  const { blobs } = await written(tree, { compressor: 'none' });
  tree.putFile('b', patterned(100_000));
  const twice = await written(tree, { compressor: 'none' });
  assert.deepEqual([...twice.blobs.keys()], [...blobs.keys()]);
});

test('what a dictionary has is not stored again', async () => {
  const base = new MemoryTree();
  base.putFile('lib/common', patterned(300_000));
  const first = await written(base, { chunkSize: 65536 });
  const dictionary = new ChunkDictionary();
  await dictionary.add(await opened(first.bootstrap, first.blobs));
  const tree = new MemoryTree();
  tree.putFile('copied', patterned(300_000));
  const all = await written(tree, { chunkSize: 65536, dictionary });
  assert.equal(all.blobs.size, 0);
  assert.equal(await describeDifferences(tree, await opened(all.bootstrap, first.blobs)), '');
  tree.putFile('own', utf8('new'));
  const some = await written(tree, { chunkSize: 65536, dictionary });
  const image = await opened(some.bootstrap, first.blobs, some.blobs);
  assert.equal(await describeDifferences(tree, image), '');
  assert.equal(image.blobs.length, 2);
  assert.equal(image.blobs.find(({ info }) => some.blobs.has(info.id))?.info.chunkCount, 1);
});

test('files that will be wanted first come first', async () => {
  const tree = edgeTree();
  const prefetch = ['/usr/bin', 'sizes/4096', 'nowhere'];
  const { bootstrap, blobs } = await written(tree, { compressor: 'none', prefetch });
  const image = await opened(bootstrap, blobs);
  assert.equal(await describeDifferences(tree, image), '');
  const wanted = [];
  for (const number of await image.prefetch()) wanted.push((await image.node(number)).stat.ino);
  const inoOf = async (path: string) => (await findNode(image, path))!.stat.ino;
  assert.deepEqual(wanted, [await inoOf('usr/bin'), await inoOf('sizes/4096')]);
  const first = (await findNode(tree, 'usr/bin'))!;
  const names = (await first.list()).filter(({ type }) => type === 'file').map(({ name }) => name);
  const content = await (await first.lookup(names[0]!))!.read(0, 1 << 20);
  const blob = [...blobs.values()][0]!;
  assert.deepEqual(blob.subarray(0, content.length), new Uint8Array(content));
});
