import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AnoleError } from '@anole/bytes';
import { scratchFile } from './scratch-file.ts';

test('a scratch file has no name and gives back what was written', () => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-scratch-test-'));
  {
    using file = scratchFile(directory);
    assert.deepEqual(readdirSync(directory), []);
    file.write(10, Uint8Array.of(1, 2, 3));
    file.write(11, Uint8Array.of(9));
    assert.deepEqual([...file.read(8, 10)], [0, 0, 1, 9, 3]);
    const target = new Uint8Array(4).fill(7);
    assert.equal(file.readInto(11, target), 2);
    assert.deepEqual([...target], [9, 3, 7, 7]);
  }
  rmdirSync(directory);
});

test('a directory that is not there is named', () => {
  assert.throws(
    () => scratchFile('/nowhere/at/all'),
    (error) => AnoleError.is(error) && error.message.includes('/nowhere/at/all'),
  );
});
