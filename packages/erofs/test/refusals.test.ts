import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnoleError } from '@anole/bytes';
import { MemoryTree, type Tree, type TreeNode } from '@anole/vfs';
import { utf8 } from '../../vfs/test/trees.ts';
import { writeErofs } from '../src/index.ts';
import { imageOf } from './judges.ts';

function coded(code: string, message: RegExp) {
  return (error: unknown) =>
    AnoleError.is(error) && error.code === code && message.test((error as Error).message);
}

test('options that make no image are refused', async () => {
  const tree = new MemoryTree();
  for (const options of [
    { blockSize: 1000 },
    { blockSize: 256 },
    { uuid: new Uint8Array(3) },
    { volumeName: 'a name that is too long' },
  ]) {
    await assert.rejects(writeErofs(tree, options), coded('EROFS_BAD_OPTION', /Cannot write/));
  }
});

test('what the format cannot hold is refused by its path', async () => {
  const attributed = (name: string, value: Uint8Array) => {
    const tree = new MemoryTree();
    tree.putFile('dir/file', utf8('x'), { xattrs: new Map([[name, value]]) });
    return writeErofs(tree);
  };
  const refused = coded('EROFS_CANNOT_STORE', /\/dir\/file/);
  await assert.rejects(attributed('user.x', new Uint8Array(65536)), refused);
  await assert.rejects(attributed('unknown.x', new Uint8Array(1)), refused);
  await assert.rejects(attributed('user.', new Uint8Array(1)), refused);
});

test('a tree that meets one directory under two names is refused', async () => {
  const tree = new MemoryTree();
  const inner = tree.putDirectory('a');
  inner.children!.set('again', tree.root);
  await assert.rejects(writeErofs(tree), coded('EROFS_CANNOT_STORE', /is the directory \/ again/));
});

test('a file that shrinks while it is written is an error', async () => {
  const tree = new MemoryTree();
  tree.putFile('log', { size: 10_000, read: (_, length) => new Uint8Array(length - 1) });
  await assert.rejects(imageOf(tree), coded('EROFS_SOURCE_CHANGED', /\/log/));
});

test('a name that vanishes while it is written is an error', async () => {
  const tree = new MemoryTree();
  tree.putFile('here', utf8('x'));
  const { root } = tree;
  const vanishing: TreeNode = {
    stat: root.stat,
    lookup: () => undefined,
    list: () => root.list(),
    readLink: () => root.readLink(),
    read: (offset, length) => root.read(offset, length),
    xattrs: () => root.xattrs(),
  };
  const changing: Tree = { root: vanishing };
  await assert.rejects(writeErofs(changing), coded('EROFS_SOURCE_CHANGED', /\/here/));
});

test('an abort stops the scan and the writing, and progress is told on the way', async () => {
  const tree = new MemoryTree();
  for (let index = 0; index < 100; index++) tree.putFile(`${index}`, new Uint8Array(100_000));
  const aborted = AbortSignal.abort(new Error('enough'));
  await assert.rejects(writeErofs(tree, { signal: aborted }), /enough/);
  const controller = new AbortController();
  const steps = new Set<string>();
  const image = await writeErofs(tree, {
    signal: controller.signal,
    onProgress: ({ step }) => steps.add(step),
  });
  await assert.rejects(async () => {
    for await (const chunk of image) if (chunk.length > 0) controller.abort(new Error('stop'));
  }, /stop/);
  assert.deepEqual([...steps], ['scan files', 'write image']);
});
