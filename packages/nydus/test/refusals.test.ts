import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memorySource, viewOf } from '@anole/bytes';
import { MemoryTree, walk } from '@anole/vfs';
import { utf8 } from '../../vfs/test/trees.ts';
import { checkRafs, openRafs, openRafsBlob, writeRafs } from '../src/index.ts';
import { BLOB_ENTRY_SIZE, BlobEntry } from '../src/layout/blob.ts';
import { EXTENDED_OFFSET, ExtendedSuperblock } from '../src/layout/superblock.ts';
import { nodeCodecs } from '../src/node/index.ts';
import { encoders, opened, written } from './written.ts';

function small(): MemoryTree {
  const tree = new MemoryTree();
  tree.putFile('a', utf8('anole '.repeat(3000)));
  tree.putFile('b/c', utf8('chunks'));
  return tree;
}

async function readAll(bootstrap: Uint8Array, blobs: ReadonlyMap<string, Uint8Array>) {
  const image = await opened(bootstrap, blobs);
  for await (const { node } of walk(image)) {
    if (node.stat.type === 'file') await node.read(0, node.stat.size);
  }
}

test('a changed byte of a chunk is refused, whichever it is', async () => {
  for (const compressor of ['none', 'lz4_block', 'zstd'] as const) {
    const { bootstrap, blobs } = await written(small(), { compressor });
    const [[id, blob]] = [...blobs] as [[string, Uint8Array]];
    for (const at of [0, 10]) {
      const bytes = blob.slice();
      bytes[at] = bytes[at]! ^ 0x40;
      const code = 'RAFS_WRONG_CONTENT';
      await assert.rejects(readAll(bootstrap, new Map([[id, bytes]])), { code });
    }
  }
});

test('a blob that is missing, cut off, or another one is named', async () => {
  const { bootstrap, blobs } = await written(small());
  const [[id, blob]] = [...blobs] as [[string, Uint8Array]];
  await assert.rejects(readAll(bootstrap, new Map()), {
    code: 'RAFS_NO_BLOB',
    details: { blob: id },
  });
  const cut = new Map([[id, blob.subarray(0, 100)]]);
  await assert.rejects(readAll(bootstrap, cut), { code: 'RAFS_BAD_BLOB_META' });
  const other = new Map([[id, new Uint8Array(blob.length)]]);
  await assert.rejects(readAll(bootstrap, other), { code: 'RAFS_BAD_BLOB_META' });
});

test('a blob table that lies is refused', async () => {
  const { bootstrap, blobs } = await written(small());
  const { blobTableOffset } = ExtendedSuperblock.read(viewOf(bootstrap), EXTENDED_OFFSET);
  const changed = (change: (entry: ReturnType<typeof BlobEntry.read>) => object) => {
    const bytes = bootstrap.slice();
    const entry = BlobEntry.read(viewOf(bytes), blobTableOffset);
    BlobEntry.write(viewOf(bytes), blobTableOffset, { ...entry, ...change(entry) });
    return bytes;
  };
  const cases: readonly [object, string][] = [
    [{ index: 1 }, 'RAFS_BAD_BLOB'],
    [{ chunkSize: 5000 }, 'RAFS_BAD_BLOB'],
    [{ chunkCount: 2 ** 25 }, 'RAFS_BAD_BLOB'],
    [{ compressor: 9 }, 'RAFS_UNSUPPORTED'],
    [{ cipher: 2 }, 'RAFS_UNSUPPORTED'],
    [{ features: 0x8000 }, 'RAFS_UNSUPPORTED'],
    [{ uncompressedSize: 2 ** 50 }, 'RAFS_BAD_BLOB'],
    [{ id: utf8(`${'../'.repeat(21)}x`) }, 'RAFS_BAD_BLOB'],
    [{ metaOffset: 2 ** 40 }, 'RAFS_BAD_BLOB_META'],
    [{ metaUncompressedSize: 2 ** 40 }, 'RAFS_BAD_BLOB_META'],
  ];
  for (const [change, code] of cases) {
    await assert.rejects(
      readAll(
        changed(() => change),
        blobs,
      ),
      { code },
      JSON.stringify(change),
    );
  }
  assert.equal(BLOB_ENTRY_SIZE, 256);
});

test('what is no image of RAFS is refused by name', async () => {
  const none = () => undefined;
  for (const size of [0, 3, 100, 8192]) {
    const source = memorySource(new Uint8Array(size));
    await assert.rejects(async () => openRafs(source, none), { code: 'RAFS_BAD_BOOTSTRAP' });
    await assert.rejects(async () => openRafsBlob(source), { code: 'RAFS_BAD_BOOTSTRAP' });
  }
});

test('an encrypted image needs who can decrypt it', async () => {
  const key = { key: Uint8Array.from({ length: 32 }, (_, at) => at), iv: new Uint8Array(16) };
  const { bootstrap, blobs } = await written(small(), { key });
  await readAll(bootstrap, blobs);
  const { decrypt: _, ...codecs } = nodeCodecs;
  const image = await openRafs(memorySource(bootstrap), (id) => memorySource(blobs.get(id)!), {
    codecs,
  });
  const node = (await image.root.lookup('a'))!;
  await assert.rejects(async () => node.read(0, 10), { code: 'RAFS_UNSUPPORTED' });
});

test('options that make no image are refused', async () => {
  const sink = { write: () => {} };
  for (const options of [
    { chunkSize: 1000 },
    { chunkSize: 2 ** 25 },
    { batchSize: 3 },
    { batchSize: 2 ** 21 },
    { key: { key: new Uint8Array(5), iv: new Uint8Array(16) } },
    { compressor: 'zstd' as const, encoders: { ...encoders, compress: {} } },
  ]) {
    const code = 'RAFS_BAD_OPTION';
    await assert.rejects(writeRafs(small(), sink, { encoders, ...options }), { code });
  }
});

test('checking goes on behind damage, and says where it is', async () => {
  const { bootstrap, blobs } = await written(small(), { compressor: 'none' });
  const [[id, blob]] = [...blobs] as [[string, Uint8Array]];
  const bytes = blob.slice();
  bytes[5] = 0;
  const image = await opened(bootstrap, new Map([[id, bytes]]));
  const { findings, errors, files } = await checkRafs(image, memorySource(bootstrap));
  assert.equal(errors, 1);
  assert.equal(files, 2);
  assert.equal(findings[0]?.code, 'RAFS_WRONG_CONTENT');
  assert.equal(findings[0]?.blob, id);
});
