import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { memorySource, type Source } from '@anole/bytes';
import { VerityBuilder } from '@anole/bytes/verity';
import { BlobCache } from './cache/cache.ts';
import { verityBlob } from './verity-blob.ts';

test('a blob is trusted chunk by chunk: what is wrong afar is refused, and not kept', async (test) => {
  const directory = mkdtempSync(join(tmpdir(), 'verity-blob-'));
  test.after(() => rmSync(directory, { recursive: true }));
  const data = randomBytes(1 << 20);
  const builder = new VerityBuilder((bytes) => hash('sha256', bytes, 'buffer'));
  builder.update(data);
  const { rootHash, bytes } = builder.finish();
  const whole = Buffer.concat([data, bytes]);
  const asked: string[] = [];
  const inner = memorySource(whole);
  const far: Source = {
    size: whole.length,
    read(offset, length) {
      asked.push(`${offset}+${length}`);
      return inner.read(offset, length);
    },
  };
  const remote = () => verityBlob(far, 'sha256:x', { rootHash, hashOffset: data.length });
  const cache = new BlobCache(directory);
  const blob = await cache.open(remote());
  assert.equal(blob.size, data.length);
  whole[200_000]! ^= 1;
  await assert.rejects(async () => blob.read(190_000, 20_000), { code: 'VERITY_WRONG_DATA' });
  whole[200_000]! ^= 1;
  assert.deepEqual(
    await blob.read(190_000, 20_000),
    new Uint8Array(data.subarray(190_000, 210_000)),
  );
  // The range twice, and the hashes once: superblock, root and leaves lie in their first page.
  const ofRange = asked.filter((range) => range === '180224+32768');
  assert.deepEqual(
    [ofRange.length, asked.filter((range) => range.startsWith('1048576+'))],
    [2, ['1048576+16384']],
  );
  const before = asked.length;
  await blob.close();
  const again = await cache.open(remote());
  await again.read(190_000, 20_000);
  assert.deepEqual(
    asked.slice(before),
    ['1048576+16384'],
    'what is here is proven by the hashes alone',
  );
  await again.close();
});
