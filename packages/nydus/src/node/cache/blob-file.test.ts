import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { BlobFile } from './blob-file.ts';
import { evenChunks } from './chunks.ts';

test('a file that cannot be made as large as the blob is not left open', () => {
  const count = () => readdirSync('/proc/self/fd').length;
  const before = count();
  // It has no size that could be changed.
  assert.throws(() => new BlobFile('/dev/null', evenChunks(100, 10)), /open \/dev\/null/);
  assert.equal(count(), before);
});
