import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  applyLayer,
  describeDifferences,
  layerBetween,
  MemoryTree,
  memoryOverlay,
  type Tree,
  walk,
  writeTar,
} from './index.ts';

const encoder = new TextEncoder();
const root = { uid: 0, gid: 0 };

function base(): MemoryTree {
  const tree = new MemoryTree();
  const mtime = { seconds: 1000, nanoseconds: 0 };
  for (const path of [
    'etc/a',
    'etc/b',
    'srv/old/x',
    'srv/old/y',
    'usr/lib/deep/kept',
    'usr/lib/deep/changed',
  ]) {
    tree.putFile(path, encoder.encode(path), { mtime });
  }
  tree.find('usr/lib')!.change({ mode: 0o2775, gid: 50 });
  tree.putLink('etc/a2', 'etc/a');
  tree.putSymlink('lib', 'usr/lib');
  return tree;
}

async function paths(tree: Tree): Promise<string[]> {
  const found: string[] = [];
  for await (const { path } of walk(tree)) if (path !== '') found.push(path);
  return found;
}

/** What the layer, as an archive, makes of the lower tree. */
async function applied(lower: MemoryTree, layer: MemoryTree): Promise<MemoryTree> {
  await applyLayer(lower, writeTar(layer, { prefix: '', filter: (path) => path !== '' }));
  return lower;
}

test('a layer has what changed, and whiteouts for what is gone', async () => {
  const upper = base();
  upper.remove('etc/b');
  upper.putFile('usr/lib/deep/changed', encoder.encode('new'));
  upper.putFile('opt/fresh/file', encoder.encode('fresh'));
  const layer = await layerBetween(base(), upper);
  assert.deepEqual(await paths(layer), [
    'etc',
    'etc/.wh.b',
    'opt',
    'opt/fresh',
    'opt/fresh/file',
    'usr',
    'usr/lib',
    'usr/lib/deep',
    'usr/lib/deep/changed',
  ]);
  assert.equal(layer.find('usr/lib')!.stat.mode, 0o2775);
  assert.equal(await describeDifferences(await applied(base(), layer), upper), '');
});

test('trees that are the same need an empty layer', async () => {
  assert.deepEqual(await paths(await layerBetween(base(), base())), []);
});

test('what takes the place of something else, and links, are what they were', async () => {
  const upper = base();
  upper.remove('srv/old', { recursive: true });
  upper.putFile('srv/old', encoder.encode('a file now'));
  upper.remove('etc/b');
  upper.putFile('etc/b/inside', encoder.encode('a directory now'));
  upper.find('etc/a')!.change({ mode: 0o600 });
  upper.remove('lib');
  upper.putSymlink('lib', 'usr');
  const layer = await layerBetween(base(), upper);
  assert.equal(layer.find('etc/a'), layer.find('etc/a2'));
  assert.equal(await describeDifferences(await applied(base(), layer), upper), '');
});

test('names that mean something else in layers are refused', async () => {
  const upper = base();
  upper.putFile('etc/.wh.a', new Uint8Array(0));
  await assert.rejects(layerBetween(base(), upper), { code: 'VFS_INVALID' });
});

test('an overlay gives what was changed in it', async () => {
  const overlay = memoryOverlay(base());
  const at = async (path: string) => {
    let node = overlay.root;
    for (const name of path.split('/')) node = (await node.lookup(name))!;
    return node;
  };
  await (await at('usr/lib/deep/changed')).write(0, encoder.encode('USR'));
  await (await at('etc')).unlink('b');
  // Made anew: what was in it must not come back.
  const srv = await at('srv');
  for (const name of ['x', 'y']) await (await at('srv/old')).unlink(name);
  await srv.removeDirectory('old');
  const made = await srv.create('old', { type: 'directory', mode: 0o700, ...root });
  await made.create('z', { type: 'file', mode: 0o644, ...root });
  // Moved, with what is in it.
  await (await at('usr')).rename('lib', overlay.root, 'moved');
  await (await at('etc')).link('a3', await at('etc/a'));
  // What the root itself is does not count.
  await overlay.root.change({ mtime: base().root.stat.mtime });
  const layer = await overlay.changes({ filter: (path) => path !== 'proc' });
  const names = await paths(layer);
  for (const path of [
    'srv/old/.wh..wh..opq',
    'srv/old/z',
    'usr/.wh.lib',
    'moved/deep/kept',
    'etc/a',
    'etc/a2',
    'etc/a3',
  ]) {
    assert.ok(names.includes(path), `${path} in ${names.join(' ')}`);
  }
  const lower = base();
  await applyLayer(
    lower,
    writeTar(layer as MemoryTree, { prefix: '', filter: (path) => path !== '' }),
  );
  assert.equal(await describeDifferences(lower, overlay), '');
});
