import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makePrivate } from './cache-place.ts';

test('a cache is made private, or below our own place; else a directory keeps its modes', async (test) => {
  const directory = mkdtempSync(join(tmpdir(), 'place-'));
  test.after(() => rmSync(directory, { recursive: true }));
  const own = join(directory, 'own');
  const modeOf = (path: string) => statSync(path).mode & 0o7777;
  assert.equal(await makePrivate(join(directory, 'made'), own), true);
  assert.equal(modeOf(join(directory, 'made')), 0o700);

  mkdirSync(join(own, 'blobs'), { recursive: true });
  chmodSync(join(own, 'blobs'), 0o755);
  assert.equal(await makePrivate(join(own, 'blobs'), own), true);
  assert.equal(modeOf(join(own, 'blobs')), 0o700);

  for (const [name, mode] of [
    ['named', 0o1777],
    ['own-not', 0o755],
  ] as const) {
    mkdirSync(join(directory, name));
    chmodSync(join(directory, name), mode);
    assert.equal(await makePrivate(join(directory, name), own), false);
    assert.equal(modeOf(join(directory, name)), mode);
  }
});
