import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { BytesCache, blake3, GzipIndexer, memorySource, wait } from '@anole/bytes';
import { patterned } from '../../erofs/test/trees.ts';
import { blobFeatures } from '../src/layout/blob.ts';
import { nodeCodecs } from '../src/node/index.ts';
import type { BlobInfo } from '../src/reader/blob-info.ts';
import type { Checkpoint } from '../src/reader/blob-meta.ts';
import type { Chunk } from '../src/reader/chunk.ts';
import { ChunkReader, type ChunkStorage } from '../src/reader/chunk-reader.ts';

const blob: BlobInfo = {
  index: 0,
  id: 'layer',
  chunkSize: 65536,
  chunkCount: 0,
  compressor: 'gzip',
  digester: 'blake3',
  cipher: 'none',
  features: blobFeatures.zran,
  compressedSize: 0,
  uncompressedSize: 0,
  meta: undefined,
  metaId: undefined,
  metaSize: 0,
  tocSize: 0,
  tocDigest: new Uint8Array(32),
  key: undefined,
};

/** Two gzip members by zlib, and the checkpoints of our indexer as RAFS has them. */
function layer() {
  const noise = Uint8Array.from({ length: 900_000 }, (_, at) => (at * at * 7919) >> 9);
  const plain = Uint8Array.from(Buffer.concat([patterned(1_500_000), noise, patterned(777)]));
  const parts = [plain.subarray(0, 1_700_001), plain.subarray(1_700_001)];
  const stored = Uint8Array.from(Buffer.concat(parts.map((part) => gzipSync(part))));
  const indexer = new GzipIndexer({ span: 200_000 });
  for (const _ of indexer.decode(stored));
  const { checkpoints, size, compressedSize } = indexer.finish();
  const records = checkpoints.map(({ in: inOffset, out, bits, window }, at): Checkpoint => {
    const next = checkpoints[at + 1];
    return {
      inOffset,
      outOffset: out,
      dictOffset: 0,
      inSize: (next?.in ?? compressedSize) - inOffset,
      outSize: (next?.out ?? size) - out,
      dictSize: window.length,
      byte: bits > 0 ? stored[inOffset - 1]! : 0,
      bits,
      window,
    };
  });
  return { plain, stored, records };
}

function reader(stored: Uint8Array, records: readonly Checkpoint[]): ChunkReader {
  const storage: ChunkStorage = {
    data: () => memorySource(stored),
    batch() {
      throw new Error('there are none');
    },
    checkpoint: (index) => wait(records[index]!),
  };
  return new ChunkReader(blob, storage, nodeCodecs, new BytesCache(1 << 20));
}

function chunkOf(index: number, offset: number, size: number): Chunk {
  const place = { compressedOffset: 0, compressedSize: 0, offset: 0, compressed: true };
  const part = { kind: 'zran', index, offset } as const;
  return { index: index * 10, ...place, size, encrypted: false, part, crc32: undefined };
}

test('chunks of a gzip stream are read from its checkpoints', async () => {
  const { plain, stored, records } = layer();
  assert.ok(records.length > 5);
  for (const [index, { outOffset, outSize }] of records.entries()) {
    const wanted = plain.subarray(outOffset + 10, outOffset + outSize);
    const read = reader(stored, records).read(chunkOf(index, 10, outSize - 10), () =>
      wait(blake3(wanted)),
    );
    assert.deepEqual(await read, wanted);
  }
});

test('a checkpoint of another stream is refused', async () => {
  const { stored, records } = layer();
  const shifted = records.map((record) => ({ ...record, bits: (record.bits + 1) % 8 }));
  const digest = () => wait(new Uint8Array(32));
  const read = () => reader(stored, shifted).read(chunkOf(2, 0, 1000), digest);
  await assert.rejects(async () => read(), { code: 'RAFS_WRONG_CONTENT' });
});
