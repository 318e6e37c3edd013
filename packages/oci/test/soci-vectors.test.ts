import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { memorySource } from '@anole/bytes';
import { mediaTypes, openIndexedLayer } from '../src/index.ts';
import { indexLayer } from '../src/node/index.ts';
import { encodeGzipZinfo, parseGzipZinfo } from '../src/soci/zinfo.ts';
import { sha256 } from '../src/testing/images.ts';

const vector = (name: string) => readFileSync(join(import.meta.dirname, 'vectors/soci', name));
const bytes = new Uint8Array(vector('layer.tar.gz'));
const archive = gunzipSync(bytes);
const theirs = new Uint8Array(gunzipSync(vector('zinfo.gz')));

async function indexed() {
  const layer = { mediaType: mediaTypes.layerGzip, digest: sha256(bytes), size: bytes.length };
  const reader = {
    name: 'a vector',
    async *blob() {
      yield bytes;
    },
  };
  return await indexLayer(reader, layer, { span: 30_000 });
}

test('checkpoints of a layer are those that SOCI finds, byte for byte', async () => {
  const { gzip } = await indexed();
  assert.equal(gzip?.checkpoints.length, 3);
  assert.ok(Buffer.from(encodeGzipZinfo(gzip)).equals(theirs));
});

test('a layer is read through the checkpoints that SOCI wrote', async () => {
  const { members, size, compressedSize } = await indexed();
  const gzip = { ...parseGzipZinfo(theirs), size, compressedSize };
  const index = { members, size, compressedSize, gzip };
  const source = openIndexedLayer(index, memorySource(bytes), { kept: 0, sha256 });
  assert.equal(source.size, archive.length);
  for (let at = 0; at < archive.length; at += 7919) {
    const length = Math.min(4096, archive.length - at);
    const met = Buffer.from(await source.read(at, length));
    assert.ok(met.equals(archive.subarray(at, at + length)), `byte ${at}`);
  }
});
