import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { memorySource, type Source } from '@anole/bytes';
import { openErofs, writeErofs } from '@anole/erofs';
import { findNode, MemoryTree } from '@anole/vfs';
import { findHints } from './hints.ts';

function sample(): MemoryTree {
  const tree = new MemoryTree();
  for (let file = 0; file < 40; file++) {
    const bytes = new Uint8Array(30_000);
    for (let at = 0; at < bytes.length; at += 64) {
      bytes.set(hash('sha256', `${file} ${at >> 7}`, 'buffer'), at);
    }
    tree.putFile(`data/file-${file}`, bytes);
  }
  tree.putSymlink('link', 'data/file-3');
  return tree;
}

/** A Source that has only some ranges. */
function partOf(image: Uint8Array, ranges: readonly (readonly [number, number])[]): Source {
  const inner = memorySource(image);
  return {
    size: image.length,
    read(offset, length) {
      const isThere = ranges.some(([start, end]) => start <= offset && offset + length <= end);
      assert.ok(isThere, `${offset}+${length} is foreseen`);
      return inner.read(offset, length);
    },
  };
}

for (const compression of [undefined, { compressor: 'lz4', tails: 'fragment' } as const]) {
  test(`hints of an image ${compression ? 'with compression' : 'as it is'} are all that is read first`, async () => {
    const trace = [
      { path: 'data/file-31', offset: 8192, length: 9000 },
      { path: 'data/file-7', offset: 0, length: 30_000 },
      { path: 'gone', offset: 0, length: 10 },
      { path: 'data', offset: 0, length: 10 },
    ];
    const first = trace.map(({ path }) => path);
    const written = await writeErofs(sample(), { first, ...(compression && { compression }) });
    const parts = await Array.fromAsync(written, (part) => part.slice());
    const image = new Uint8Array(Buffer.concat(parts));
    const hints = await findHints(memorySource(image), trace);
    const metadata = await openErofs(partOf(image, hints.metadata));
    await metadata.loadMetadata();
    const hinted = [...hints.metadata, ...hints.first].sort((a, b) => a[0] - b[0]);
    const merged = hinted.reduce<[number, number][]>((all, [start, end]) => {
      const last = all.at(-1);
      if (last && start <= last[1]) last[1] = Math.max(last[1], end);
      else all.push([start, end]);
      return all;
    }, []);
    const tree = await openErofs(partOf(image, merged));
    const whole = await openErofs(memorySource(image));
    for (const { path, offset, length } of trace.slice(0, 2)) {
      const [ours, expected] = [await findNode(tree, path), await findNode(whole, path)];
      assert.deepEqual(await ours!.read(offset, length), await expected!.read(offset, length));
    }
    // What was traced lies together, but for the ends of files in the packed inode.
    const front = compression ? 8192 : 40 * 4096;
    assert.ok(hints.first[0]![0] <= front, `${hints.first}`);
    assert.ok(hints.first.length <= 4, `${hints.first}`);
  });
}

test('metadata are all that Linux reads without telling: data that lie beside inodes, too', async () => {
  const tree = new MemoryTree();
  for (let file = 0; file < 120; file++) {
    const bytes = new Uint8Array(3900 + file * 40).map((_, at) => (at * (file + 3)) >> 3);
    tree.putFile(`file-${file}`, bytes);
  }
  for (const options of [{}, { compression: { compressor: 'lz4', tails: 'inline' } }] as const) {
    const parts = await Array.fromAsync(await writeErofs(tree, options), (part) => part.slice());
    const image = memorySource(new Uint8Array(Buffer.concat(parts)));
    const { metadata } = await findHints(image);
    let beside = 0;
    const whole = await openErofs(image);
    for (const { name } of await whole.root.list()) {
      const node = (await whole.root.lookup(name))!;
      const { kind, start, size } = await node.mapping(node.stat.size - 1);
      if (kind !== 'inode') continue;
      beside++;
      const isThere = metadata.some(([from, to]) => from <= start && start + size <= to);
      assert.ok(isThere, `${name}: ${start}+${size} is among the metadata`);
    }
    assert.ok(beside > 10, `${beside} files`);
  }
});
