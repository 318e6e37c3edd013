import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { AnoleError, memorySource, type Source } from '@anole/bytes';
import { hostTree } from '@anole/host';
import { MemoryTree, type Tree, type TreeNode } from '@anole/vfs';
import { openErofs, type WriteOptions } from '../src/index.ts';
import { imageOf, Mounted, missing, noMount, Scratch } from './judges.ts';
import { edgeTree } from './trees.ts';

const variants: readonly WriteOptions[] = [
  {},
  { inodes: 'extended', inlineTails: false },
  { compactTimes: true },
  { chunks: {} },
  { compression: { compressor: 'lz4', tails: 'inline' } },
  { compression: { compressor: 'lz4', pclusterSize: 16_384, tails: 'fragment' } },
  { compression: { compressor: 'lz4', tails: 'fragment', allFragments: true } },
];

/** All but data of files. */
async function describe(tree: Tree): Promise<string[]> {
  const lines: string[] = [];
  const walk = async (node: TreeNode, path: string): Promise<void> => {
    const { stat } = node;
    const xattrs = [...((await node.xattrs?.()) ?? [])].map(
      ([name, value]) => `${name}=${Buffer.from(value).toString('hex')}`,
    );
    const target = stat.type === 'symlink' ? await node.readLink() : '';
    lines.push(JSON.stringify([path, stat, xattrs.sort(), target]));
    if (stat.type !== 'directory') return;
    for (const { name } of await node.list()) {
      await walk((await node.lookup(name))!, `${path}/${name}`);
    }
  };
  await walk(tree.root, '');
  return lines;
}

async function seen(image: Uint8Array): Promise<string[]> {
  using scratch = new Scratch();
  using mounted = new Mounted(scratch, image);
  using tree = hostTree(mounted.path, { xattrs: true });
  return await describe(tree);
}

for (const [index, options] of variants.entries()) {
  test(`the kernel finds all names and attributes in what is loaded as metadata (${index})`, {
    skip: noMount() || missing('getfattr'),
  }, async () => {
    const source = edgeTree();
    source.putFile('program', readFileSync(process.execPath).subarray(2_000_000, 5_000_000));
    const image = await imageOf(source, options);
    const whole = memorySource(image);
    // What is not loaded is zeros.
    const loaded = new Uint8Array(image.length);
    const watched: Source = {
      size: whole.size,
      read(offset, length) {
        loaded.set(image.subarray(offset, offset + length), offset);
        return whole.read(offset, length);
      },
    };
    await (await openErofs(watched)).loadMetadata();
    const count = loaded.reduce((sum, byte) => sum + (byte === 0 ? 0 : 1), 0);
    assert.ok(count < image.length / 2, `${count} of ${image.length}`);
    const [ours, all] = [await seen(loaded), await seen(image)];
    for (const [line, text] of all.entries()) assert.ok(ours[line] === text, text.slice(0, 200));
    assert.equal(ours.length, all.length);
  });
}

/** An image whose root has many blocks of names, and the byte at which they begin. */
async function manyNames(): Promise<{ image: Uint8Array; start: number; size: number }> {
  const tree = new MemoryTree();
  for (let file = 0; file < 1000; file++)
    tree.putFile(`${file}`.padStart(200, '0'), new Uint8Array(0));
  const image = await imageOf(tree, { inlineTails: false });
  const { root } = await openErofs(memorySource(image));
  return { image, start: (await root.mapping(0)).start, size: root.stat.size };
}

test('a directory that has a block twice is refused', async () => {
  const { image, start } = await manyNames();
  image.copyWithin(start + 4096, start, start + 4096);
  const tree = await openErofs(memorySource(image));
  await assert.rejects(
    tree.loadMetadata(),
    (error) => AnoleError.is(error) && error.code === 'EROFS_BAD_DIRECTORY',
  );
});

test('others have their turn while a directory is loaded', async () => {
  const { image, start, size } = await manyNames();
  let isTurn = false;
  let wasTurn: boolean | undefined;
  const slow: Source = {
    size: image.length,
    read(offset, length) {
      const since = performance.now();
      while (performance.now() - since < 5);
      const end = offset + length;
      // The end of the names.
      if (offset < start + size && end >= start + size) wasTurn ??= isTurn;
      return image.subarray(offset, end);
    },
  };
  const tree = await openErofs(slow);
  setTimeout(() => {
    isTurn = true;
  }, 0);
  await tree.loadMetadata();
  assert.equal(wasTurn, true);
});
