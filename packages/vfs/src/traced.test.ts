import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTrees } from './compare.ts';
import { findNode } from './find.ts';
import { MemoryTree } from './memory-tree.ts';
import { type TracedRead, tracedTree } from './traced.ts';

test('a traced tree is the same as the tree, and tells what is read of it', async () => {
  const tree = new MemoryTree();
  tree.putFile('usr/lib/a', new Uint8Array(9000).fill(1));
  tree.putFile('b', new Uint8Array(10));
  tree.putSymlink('c', 'usr/lib/a');
  const reads: TracedRead[] = [];
  const traced = tracedTree(tree, (read) => reads.push(read));
  const differences = await Array.fromAsync(compareTrees(tree, traced));
  assert.deepEqual(differences, []);
  reads.length = 0;
  const node = await findNode(traced, '/c');
  assert.equal((await node!.read(4096, 100)).length, 100);
  assert.deepEqual(reads, [{ path: 'usr/lib/a', offset: 4096, length: 100 }]);
});
