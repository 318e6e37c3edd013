import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateRawSync, zstdDecompressSync } from 'node:zlib';
import { zlibEncoders } from './zlib-encoders.ts';

test('streams are whole, and decode to what went in', () => {
  const bytes = new TextEncoder().encode('one and two and three '.repeat(5000));
  const zstd = zlibEncoders.zstd(bytes, 3, 32_768);
  assert.ok(zstd.length < 1000 && bytes.length > 32_768);
  assert.deepEqual(new Uint8Array(zstdDecompressSync(zstd)), bytes);
  const deflated = zlibEncoders.deflate(bytes, 9, 32_768);
  assert.ok(deflated.length < 1000);
  assert.deepEqual(new Uint8Array(inflateRawSync(deflated)), bytes);
});
