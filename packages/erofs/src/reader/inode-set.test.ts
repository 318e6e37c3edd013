import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnoleError } from '@anole/bytes';
import { IN_METABOX } from '../layout/nid.ts';
import { InodeSet } from './inode-set.ts';

test('more inodes than a Set holds are known, and those between them are not', () => {
  const set = new InodeSet();
  const count = 2 ** 24 + 2;
  for (let index = 0; index < count; index++) set.add(2 * index);
  let known = 0;
  for (let nid = 0; nid < 2 * count; nid++) if (set.has(nid)) known++;
  assert.equal(known, count);
  assert.ok(set.has(2 * (count - 1)));
  assert.ok(!set.has(2 * count));
});

test('inodes of the metabox are others than those of the same numbers', () => {
  const set = new InodeSet();
  for (const nid of [0, 31, 32, 2047, 2048, 2 ** 31, 2 ** 40]) {
    set.add(nid + IN_METABOX);
    assert.ok(set.has(nid + IN_METABOX));
    assert.ok(!set.has(nid));
    set.add(nid);
    assert.ok(set.has(nid));
  }
});

test('inodes that lie too far apart are refused by a code', () => {
  const set = new InodeSet(3);
  for (const nid of [0, 1, 5000, 5001, 10_000]) set.add(nid);
  assert.throws(
    () => set.add(1e9),
    (error) => AnoleError.is(error) && error.code === 'EROFS_UNSUPPORTED',
  );
  assert.ok(set.has(5001));
  assert.ok(!set.has(1e9));
});
