import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { hostTree } from '@anole/host';
import { MemoryTree, type TreeNode } from '@anole/vfs';
import type { SourceJob } from './source-job.ts';
import { SourceThreads } from './source-threads.ts';

const base = mkdtempSync(join(tmpdir(), 'anole-ahead-'));
after(() => rmSync(base, { recursive: true, force: true }));

/** Entries enough for threads in the first directory; in the others little, some of it below. */
mkdirSync(join(base, '0-many'));
for (let file = 0; file < 2100; file++) writeFileSync(join(base, `0-many/${file}`), '');
for (let directory = 1; directory <= 200; directory++) {
  mkdirSync(join(base, `d${directory}/\u00e4/below`), { recursive: true });
  writeFileSync(join(base, `d${directory}/\u00e4/file`), 'x'.repeat(directory));
}

type List = (node: TreeNode) => ReturnType<TreeNode['list']>;

/** All paths, types, sizes and inode numbers, in the order in which an image's writer asks. */
async function walked(root: TreeNode, list: List, pause = () => {}): Promise<string[]> {
  const seen: string[] = [];
  const walk = async (node: TreeNode, path: string): Promise<void> => {
    const entries = await list(node);
    for (const { name, type, ino, node: child } of entries) {
      seen.push(`${path}/${name} ${type} ${ino} ${child?.stat.size} ${child?.stat.mtime.seconds}`);
      pause();
    }
    for (const { name, node: child } of entries) {
      if (child?.stat.type === 'directory') await walk(child, `${path}/${name}`);
    }
  };
  await walk(root, '');
  return seen;
}

/** Counts directories that threads are given. */
function counted(threads: SourceThreads): () => number {
  let count = 0;
  const crew = threads.crew();
  const { ask } = crew;
  crew.ask = (job: SourceJob, transfer) => {
    if (job.kind === 'list') count += job.directories.keys.length;
    return ask.call(crew, job, transfer);
  };
  return () => count;
}

test('directories listed by threads are those of the tree', async () => {
  using tree = hostTree(base);
  await using threads = new SourceThreads();
  const count = counted(threads);
  const first = await walked(tree.root, threads.ahead.list);
  // Threads have come by now, whatever they took to start.
  while (count() === 0) {
    await setTimeout(50);
    await walked(tree.root, threads.ahead.list);
  }
  const alone = await walked(tree.root, (node) => node.list());
  assert.deepEqual(first, alone);
  assert.deepEqual(await walked(tree.root, threads.ahead.list), alone);
});

test('a directory that is gone when a thread comes to list it is told by who asks', async () => {
  using tree = hostTree(base);
  await using threads = new SourceThreads();
  const count = counted(threads);
  while (count() === 0) {
    await walked(tree.root, threads.ahead.list);
    await setTimeout(20);
  }
  const move = () => renameSync(join(base, 'd200'), join(base, '.d200'));
  const entries = await threads.ahead.list(tree.root);
  move();
  try {
    const last = entries.find(({ name }) => name === 'd200')!.node!;
    await assert.rejects(async () => await threads.ahead.list(last), { code: 'VFS_NOT_FOUND' });
  } finally {
    renameSync(join(base, '.d200'), join(base, 'd200'));
  }
});

test('trees of other kinds are listed as they are', async () => {
  await using threads = new SourceThreads();
  const tree = new MemoryTree();
  tree.putFile('some/file', new Uint8Array(3));
  const entries = await threads.ahead.list(tree.root);
  assert.deepEqual(
    entries.map(({ name }) => name),
    ['some'],
  );
});
