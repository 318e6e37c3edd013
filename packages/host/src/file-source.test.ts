import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileSource } from './index.ts';

describe('fileSource', () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'anole-'));
    writeFileSync(join(directory, 'file'), 'content');
    mkdirSync(join(directory, 'directory'));
  });
  after(() => rmSync(directory, { recursive: true }));

  it('reads ranges into memory of their own', () => {
    using source = fileSource(join(directory, 'file'));
    assert.equal(source.size, 7);
    const first = source.read(0, 3);
    const second = source.read(3, 4);
    assert.equal(new TextDecoder().decode(first), 'con');
    assert.equal(new TextDecoder().decode(second), 'tent');
    assert.equal(source.read(7, 0).length, 0);
  });

  it('refuses ranges outside of the file', () => {
    using source = fileSource(join(directory, 'file'));
    for (const [offset, length] of [
      [0, 8],
      [8, 0],
      [-1, 1],
      [0, -1],
    ] as const) {
      assert.throws(() => source.read(offset, length), { code: 'SOURCE_OUT_OF_RANGE' });
    }
  });

  it('says what it cannot open', () => {
    assert.throws(() => fileSource(join(directory, 'no')), { code: 'HOST_NOT_FOUND' });
    assert.throws(() => fileSource(join(directory, 'directory')), { code: 'HOST_NOT_FILE' });
    assert.throws(() => fileSource('/dev/null'), { code: 'HOST_NOT_FILE' });
  });

  it('notices that the file was cut short', () => {
    const path = join(directory, 'shrinking');
    writeFileSync(path, 'long enough');
    using source = fileSource(path);
    truncateSync(path, 4);
    assert.throws(() => source.read(0, 11), { code: 'HOST_WRONG_CONTENT' });
  });

  it('can be closed twice, and is not read afterwards', () => {
    const source = fileSource(join(directory, 'file'));
    source.close();
    source.close();
    assert.throws(() => source.read(0, 1), { code: 'HOST_IO' });
  });
});
