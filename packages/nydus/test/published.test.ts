import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { memorySource } from '@anole/bytes';
import type { TreeNode } from '@anole/vfs';
import { checkRafs, openRafs } from '../src/index.ts';
import { nodeCodecs } from '../src/node/index.ts';

const vectors = join(import.meta.dirname, 'vectors');
const vector = (name: string) => memorySource(new Uint8Array(readFileSync(join(vectors, name))));
const open = (name: string) =>
  openRafs(vector(name), (id) => vector(`blobs/${id}`), { codecs: nodeCodecs });

test('an image of version 6 by nydus-image is sound, and its files read', async () => {
  const image = await open('v6.boot');
  const { findings } = await checkRafs(image, vector('v6.boot'));
  assert.deepEqual(findings, []);
  const names = (await image.root.list()).map(({ name }) => name);
  assert.deepEqual(names, ['lib.rs', 'sync_io.rs']);
  for (const name of names) {
    const file = await image.root.lookup(name);
    const text = Buffer.from(await file!.read(0, file!.stat.size)).toString();
    assert.match(text, /^\/\/ Copyright .*\n/);
  }
});

interface Shown {
  readonly type: 'directory' | 'file' | 'link';
  readonly name: string;
  readonly target?: string;
  readonly contents?: readonly Shown[];
}

test('an image of version 5 by nydus-image has the tree that nydusd shows', async () => {
  const image = await open('v5.boot');
  const [shown] = JSON.parse(readFileSync(join(vectors, 'v5-tree.json'), 'utf8')) as [Shown];
  await isSame(image.root, shown, '');
});

async function isSame(node: TreeNode, shown: Shown, path: string): Promise<void> {
  const type = shown.type === 'link' ? 'symlink' : shown.type;
  assert.equal(node.stat.type, type, path);
  if (type === 'symlink') assert.equal(await node.readLink(), shown.target, path);
  if (type !== 'directory') return;
  // tree passes over names that begin with a dot.
  const names = (await node.list()).map(({ name }) => name).filter((name) => !name.startsWith('.'));
  const contents = shown.contents ?? [];
  assert.deepEqual(names.sort(), contents.map(({ name }) => name).sort(), path);
  for (const each of contents) {
    await isSame((await node.lookup(each.name))!, each, `${path}/${each.name}`);
  }
}
