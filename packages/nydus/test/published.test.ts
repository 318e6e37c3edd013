import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { memorySource, viewOf } from '@anole/bytes';
import { DeviceSlot, ExtendedInode, SUPERBLOCK_OFFSET, Superblock } from '@anole/erofs/format';
import type { TreeNode } from '@anole/vfs';
import { checkRafs, openRafs } from '../src/index.ts';
import { BlobEntry } from '../src/layout/blob.ts';
import { CHUNK_RECORD_SIZE, ChunkRecord } from '../src/layout/chunk.ts';
import {
  DEVICE_TABLE_OFFSET,
  EXTENDED_OFFSET,
  ExtendedSuperblock,
} from '../src/layout/superblock.ts';
import { nodeCodecs } from '../src/node/index.ts';
import { written } from './written.ts';

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

test('the image of version 6 is written again byte by byte, but for what compressors and versions make of it', async () => {
  const theirs = new Uint8Array(readFileSync(join(vectors, 'v6.boot')));
  const image = await open('v6.boot');
  const { bootstrap } = await written(image, { compressor: 'zstd' });
  const extended = ExtendedSuperblock.at(viewOf(theirs), EXTENDED_OFFSET);
  const { chunkTableOffset, chunkTableSize, blobTableOffset } = extended;
  const { id, compressedSize, metaOffset, tocDigest } = BlobEntry.offsets;
  const blob = [
    // What zstd makes of the chunks, and so the sizes and digests of all that follows.
    [id, 64],
    [compressedSize, 8],
    [metaOffset, 8],
    [tocDigest, 32],
  ].map(([at, size]) => [blobTableOffset + at!, size!] as const);
  const chunks = [];
  for (let at = 0; at < chunkTableSize; at += CHUNK_RECORD_SIZE) {
    const record = chunkTableOffset + at;
    chunks.push([record + ChunkRecord.offsets.compressedSize, 4] as const);
    chunks.push([record + ChunkRecord.offsets.compressedOffset, 8] as const);
  }
  const { metaBlock, rootNid } = Superblock.at(viewOf(theirs), SUPERBLOCK_OFFSET);
  const rootAt = metaBlock * 4096 + rootNid * 32;
  const versions = [
    // Later versions say that nothing is encrypted, where a device begins is a multiple of less, and the root has a number.
    [EXTENDED_OFFSET + 3, 1],
    [DEVICE_TABLE_OFFSET + DeviceSlot.offsets.unifiedBlock, 4],
    [rootAt + ExtendedInode.offsets.ino, 4],
  ] as const;
  const other = [...blob, ...chunks, ...versions, [DEVICE_TABLE_OFFSET, 64] as const];
  for (const [at, size] of other) theirs.set(bootstrap.subarray(at, at + size), at);
  assert.deepEqual(Buffer.from(bootstrap), Buffer.from(theirs));
});

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
