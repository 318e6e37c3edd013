import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeErofs } from '@anole/erofs';
import { MemoryTree } from '@anole/vfs';
import { openTree } from './open-tree.ts';

async function image(path: string, text: string): Promise<void> {
  const tree = new MemoryTree();
  tree.putFile('name', new TextEncoder().encode(text));
  const chunks: Uint8Array[] = [];
  for await (const chunk of await writeErofs(tree)) chunks.push(chunk.slice());
  writeFileSync(path, Buffer.concat(chunks));
}

/** How many descriptors of this process stand for files below a directory. */
function openBelow(directory: string): number {
  const names = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // the one that lists them
    }
  });
  return names.filter((name) => name.startsWith(directory)).length;
}

test('machines of a thread read an image through one descriptor, and none once it is unused', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-trees-'));
  try {
    const [path, other] = [join(directory, 'a.erofs'), join(directory, 'b.erofs')];
    await image(path, 'first');
    await image(other, 'second');
    const open = async (path: string) => (await openTree({ kind: 'erofs', path })).tree;
    const trees = [await open(path), await open(path), await open(path)];
    assert.equal(openBelow(directory), 1);
    await trees[0]!.close!();
    assert.equal((await trees[1]!.root.lookup('name'))!.stat.size, 5);
    // Another file of the name is another image, and the first one is still there for who has it.
    renameSync(other, path);
    const newer = await open(path);
    assert.equal((await newer.root.lookup('name'))!.stat.size, 6);
    assert.equal((await trees[2]!.root.lookup('name'))!.stat.size, 5);
    for (const tree of [trees[1]!, trees[2]!, newer]) await tree.close!();
    assert.equal(openBelow(directory), 1, 'one is kept for the next machine');
    await assert.rejects(open(other), { code: 'HOST_NOT_FOUND' });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
