import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { hostTree } from '@anole/host';
import { describeDifferences, MemoryTree } from '@anole/vfs';
import type { WriteOptions } from '../src/index.ts';
import { imageOf, Mounted, missing, noErofsUtils, noMount, run, Scratch } from './judges.ts';
import { edgeTree } from './trees.ts';

const variants: readonly [string, WriteOptions][] = [
  ['as it comes', {}],
  ['with extended inodes only', { inodes: 'extended' }],
  ['without inline tails', { inlineTails: false }],
  ['with one time for all', { time: { seconds: 1_000_000_000, nanoseconds: 5 } }],
  ['with blocks of 512 bytes', { blockSize: 512 }],
  ['with blocks of 1024 bytes', { blockSize: 1024 }],
];

for (const [title, options] of variants) {
  test(`the kernel sees the tree that was written, ${title}`, {
    skip: noMount() || missing('getfattr'),
  }, async () => {
    const tree = edgeTree();
    using scratch = new Scratch();
    using mounted = new Mounted(scratch, await imageOf(tree, options));
    using seen = hostTree(mounted.path, { xattrs: true });
    const ignore = options.time === undefined ? [] : (['mtime'] as const);
    assert.equal(await describeDifferences(tree, seen, { ignore }), '');
    const links = (path: string) => run(['stat', '-c', '%h', `${mounted.path}/${path}`]).toString();
    assert.equal(links('usr/bin/tool'), '2\n');
    assert.equal(links('usr'), '3\n');
    assert.equal(links('sizes'), '2\n');
    if (options.time === undefined) return;
    assert.equal(run(['stat', '-c', '%.9Y', mounted.path]).toString(), '1000000000.000000005\n');
  });
}

// Before 1.8, fsck.erofs reads blocks of one page only.
for (const [title, options] of variants.filter(([, { blockSize }]) => blockSize === undefined)) {
  test(`fsck.erofs finds nothing wrong with an image ${title}`, {
    skip: noErofsUtils(),
  }, async () => {
    using scratch = new Scratch();
    const file = scratch.at('image');
    writeFileSync(file, await imageOf(edgeTree(), options));
    run(['fsck.erofs', '--extract', file]);
    assert.match(run(['dump.erofs', '-s', file]).toString(), /0xE0F5E1E2/);
  });
}

test('the kernel finds single attributes through the name filter', {
  skip: noMount() || missing('getfattr'),
}, async () => {
  using scratch = new Scratch();
  using mounted = new Mounted(scratch, await imageOf(edgeTree()));
  for (const [name, path, value] of [
    ['security.selinux', 'labelled/3', 'system_u:object_r:usr_t:s0\0'],
    ['user.own', 'labelled/3', 'number 3'],
    ['trusted.x', 'attributes/folder', 'y'],
  ] as const) {
    const got = run(['getfattr', '--only-values', '-n', name, `${mounted.path}/${path}`]);
    assert.equal(got.toString(), value);
  }
  assert.throws(() => run(['getfattr', '-n', 'user.absent', `${mounted.path}/labelled/3`]));
});

test('the kernel reads a file beyond 4 GiB that is nearly all hole', {
  skip: noMount(),
}, async () => {
  const size = 2 ** 33 + 5000;
  const tree = new MemoryTree();
  tree.putFile('vast', {
    size,
    extents: [{ offset: 2 ** 33 - 10, length: 5010 }],
    read: (offset, length) =>
      Uint8Array.from({ length }, (_, at) =>
        offset + at < 2 ** 33 - 10 ? 0 : (offset + at) % 251,
      ),
  });
  using scratch = new Scratch();
  using mounted = new Mounted(scratch, await imageOf(tree));
  using seen = hostTree(mounted.path);
  const file = seen.root.lookup('vast');
  assert.equal(file?.stat.size, size);
  const expected = Array.from({ length: 5020 }, (_, at) =>
    at < 10 ? 0 : (2 ** 33 - 20 + at) % 251,
  );
  assert.deepEqual([...((await file?.read(2 ** 33 - 20, 6000)) ?? [])], expected);
  assert.deepEqual([...((await file?.read(12_345, 5)) ?? [])], [0, 0, 0, 0, 0]);
});
