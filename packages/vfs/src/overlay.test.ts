import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { all, arbitraryTree, sampleTree, utf8 } from '../test/trees.ts';
import {
  copyTree,
  describeDifferences,
  findNode,
  graftTree,
  MemoryTree,
  memoryOverlay,
  overlay,
  type Tree,
  walk,
} from './index.ts';

describe('overlay', () => {
  it('shows one layer as it is', async () => {
    assert.equal(await describeDifferences(overlay([sampleTree()]), sampleTree()), '');
  });

  it('merges directories and lets the highest layer win', async () => {
    const low = tree({ 'etc/a': 'low', 'etc/b': 'low', 'both/x': 'low', 'turned/x': 'low' });
    const high = tree({ 'etc/b': 'high', both: 'a file now' });
    high.putDirectory('etc', { mode: 0o700 });
    high.putSymlink('turned', 'etc');
    const merged = overlay([low, high]);
    assert.deepEqual(await paths(merged), ['', 'both', 'etc', 'etc/a', 'etc/b', 'turned']);
    assert.equal(await text(merged, 'etc/b'), 'high');
    assert.equal(await text(merged, 'turned/a'), 'low');
    assert.equal((await findNode(merged, 'etc'))?.stat.mode, 0o700);
  });

  it('does not merge a directory with one below a file between them', async () => {
    const layers = [tree({ 'd/low': '' }), tree({ d: 'file' }), tree({ 'd/high': '' })];
    assert.deepEqual(await paths(overlay(layers)), ['', 'd', 'd/high']);
  });

  it('gives each file one number of its own, the same in listings', async () => {
    const low = tree({ a: 'low', c: 'low' });
    low.putLink('d', 'c');
    const merged = overlay([low, tree({ b: 'high' })]);
    const numbers = new Map<number, string>();
    for (const { path, node, linkTo } of await all(walk(merged))) {
      assert.equal(numbers.get(node.stat.ino), linkTo);
      if (linkTo === undefined) numbers.set(node.stat.ino, path);
    }
    for (const { name, ino } of await merged.root.list()) {
      assert.equal((await merged.root.lookup(name))?.stat.ino, ino);
    }
  });

  it('understands whiteouts of OCI layers', async () => {
    const low = tree({ 'a/x': '', 'a/y': '', 'b/x': '', c: '' });
    const high = tree({ 'a/.wh.x': '', 'b/.wh..wh..opq': '', 'b/new': '', '.wh.c': '' });
    const merged = overlay([low, high], { whiteouts: 'oci' });
    assert.deepEqual(await paths(merged), ['', 'a', 'a/y', 'b', 'b/new']);
    const again = overlay([low, high, tree({ c: 'back' })], { whiteouts: 'oci' });
    assert.equal(await text(again, 'c'), 'back');
    assert.equal(await merged.root.lookup('.wh.c'), undefined);
  });

  it('understands whiteouts of overlayfs', async () => {
    const low = tree({ 'a/x': '', 'a/y': '', 'b/x': '' });
    const high = tree({ 'b/new': '' });
    high.putSpecial('a/x', 'character', { rdev: { major: 0, minor: 0 } });
    high.putSpecial('a/null', 'character', { rdev: { major: 1, minor: 3 } });
    high.find('b')!.change({ xattrs: new Map([['trusted.overlay.opaque', utf8('y')]]) });
    const merged = overlay([low, high], { whiteouts: 'overlayfs' });
    assert.deepEqual(await paths(merged), ['', 'a', 'a/null', 'a/y', 'b', 'b/new']);
  });

  it('needs at least one layer', () => {
    assert.throws(() => overlay([]), { code: 'VFS_INVALID' });
  });

  it('is the same as putting the layers over one another, where types agree', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(arbitraryTree, { minLength: 1, maxLength: 3 }), async (layers) => {
        const merged = new MemoryTree();
        try {
          for (const layer of layers) await graftTree(layer, merged);
        } catch {
          return;
        }
        // Links across layers break differently: an overlay cannot join inodes.
        const options = { ignore: ['links', 'size', 'content'] as const };
        const followed = (await all(walk(merged))).some(({ node }) => node.stat.type === 'symlink');
        if (!followed) {
          assert.equal(await describeDifferences(overlay(layers), merged, options), '');
        }
      }),
      { seed: 40, numRuns: 60 },
    );
  });
});

describe('graftTree', () => {
  it('puts a tree into another without reading its files', async () => {
    const into = new MemoryTree();
    await graftTree(sampleTree(), into, { at: 'deep/down' });
    const found = into.find('deep/down')!;
    assert.equal(await describeDifferences({ root: found }, sampleTree()), '');
  });
});

describe('copyTree', () => {
  it('copies any tree into one that can be written', async () => {
    const to = memoryOverlay();
    await copyTree(sampleTree(), to);
    assert.equal(await describeDifferences(to, sampleTree()), '');
    await fc.assert(
      fc.asyncProperty(arbitraryTree, async (from) => {
        const goal = memoryOverlay();
        await copyTree(from, goal);
        assert.equal(await describeDifferences(goal, from), '');
      }),
      { seed: 41, numRuns: 60 },
    );
  });

  it('copies into a directory that exists, and no other', async () => {
    const to = memoryOverlay(tree({ 'mnt/there': 'x' }));
    await copyTree(tree({ a: '1' }), to, { at: 'mnt' });
    assert.deepEqual(await paths(to), ['', 'mnt', 'mnt/a', 'mnt/there']);
    await assert.rejects(copyTree(tree({}), to, { at: 'no' }), { code: 'VFS_NOT_FOUND' });
  });
});

function tree(files: Readonly<Record<string, string>>): MemoryTree {
  const made = new MemoryTree();
  for (const [path, content] of Object.entries(files)) made.putFile(path, utf8(content));
  return made;
}

async function paths(of: Tree): Promise<string[]> {
  return (await all(walk(of))).map(({ path }) => path);
}

async function text(of: Tree, path: string): Promise<string> {
  const node = await findNode(of, path);
  return new TextDecoder().decode(await node!.read(0, 1000));
}
