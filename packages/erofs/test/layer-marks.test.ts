import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { AnoleError, memorySource } from '@anole/bytes';
import { hostTree } from '@anole/host';
import { describeDifferences, MemoryTree, overlay, type Tree } from '@anole/vfs';
import { utf8 } from '../../vfs/test/trees.ts';
import { openErofs } from '../src/index.ts';
import { imageOf, Mounted, missing, noMount, run, Scratch } from './judges.ts';

const mtime = { seconds: 1_700_000_000, nanoseconds: 0 };

function treeOf(files: Readonly<Record<string, string>>): MemoryTree {
  const tree = new MemoryTree({ mode: 0o755, mtime });
  for (const [path, text] of Object.entries(files)) tree.putFile(path, utf8(text), { mtime });
  return tree;
}

/** Some of it is there below, some is not, and one thing is there in both. */
const base = () => treeOf({ a: 'a', 'b/c': 'c', 'b/d': 'd', 'e/f': 'f', 'g/h': 'h', i: 'i' });
const layer = () =>
  treeOf({
    '.wh.a': '',
    'b/.wh.c': '',
    'b/.wh.never': '',
    'e/.wh..wh..opq': '',
    'e/new': 'new',
    '.wh.g': '',
    'g/own': 'own',
    '.wh.i': '',
    i: 'another i',
    '.wh..wh.plnk/x': '',
  });

test('marks of aufs become marks of overlayfs, which the kernel obeys', {
  skip: noMount() || missing('getfattr'),
}, async () => {
  using below = new Scratch();
  using above = new Scratch();
  using lower = new Mounted(below, await imageOf(base()));
  using upper = new Mounted(above, await imageOf(layer(), { marks: { fromAufs: true } }));
  using scratch = new Scratch();
  const merged = scratch.at('merged');
  mkdirSync(merged);
  run(['mount', '-t', 'overlay', '-o', `ro,lowerdir=${upper.path}:${lower.path}`, 'none', merged]);
  try {
    using seen = hostTree(merged);
    const expected: Tree = overlay([base(), layer()], { whiteouts: 'oci' });
    const ignore = ['mtime', 'links', 'xattr'] as const;
    assert.equal(await describeDifferences(expected, seen, { ignore }), '');
  } finally {
    run(['umount', merged]);
  }
});

test('marks are left out where none are wanted', async () => {
  const plain = treeOf({ 'b/x': 'x', 'e/new': 'new', 'g/own': 'own', i: 'another i' });
  plain.remove('b/x');
  for (const marked of [layer(), await asOverlay(layer())]) {
    const image = await imageOf(marked, { marks: { fromAufs: true, strip: true } });
    const stripped = await openErofs(memorySource(image));
    assert.equal(await describeDifferences(plain, stripped, { ignore: ['mtime', 'links'] }), '');
  }
});

async function asOverlay(tree: Tree): Promise<Tree> {
  return await openErofs(memorySource(await imageOf(tree, { marks: { fromAufs: true } })));
}

test('a mark of nothing that can have a name is refused', async () => {
  for (const name of ['.wh.', '.wh..', '.wh...']) {
    await assert.rejects(
      imageOf(treeOf({ [name]: '' }), { marks: { fromAufs: true } }),
      (error) => AnoleError.is(error) && error.code === 'EROFS_CANNOT_STORE',
    );
  }
});
