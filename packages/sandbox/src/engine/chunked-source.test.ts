import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileSource } from '@anole/host';
import { chunkedSource } from './chunked-source.ts';

test('a file in chunks reads as the file, whatever is read when', () => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-chunks-'));
  try {
    const bytes = Uint8Array.from({ length: 5_000_001 }, (_, i) => (i * 31 + (i >> 8)) & 255);
    const path = join(directory, 'file');
    writeFileSync(path, bytes);
    const source = chunkedSource(fileSource(path));
    for (let i = 0; i < 2000; i++) {
      const length = i % 7 === 0 ? 70_000 : i % 4097;
      const at = (i * 7_919_993) % (bytes.length - length);
      const read = source.read(at, length) as Uint8Array;
      assert.equal(Buffer.compare(read, bytes.subarray(at, at + length)), 0);
    }
    const end = source.read(bytes.length - 10, 10) as Uint8Array;
    assert.deepEqual(end.slice(), bytes.subarray(-10));
    assert.throws(() => source.read(bytes.length, 1), { code: 'SOURCE_OUT_OF_RANGE' });
    void source.close?.();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
