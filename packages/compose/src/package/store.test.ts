import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDeb, scratch, without } from '../testing/debs.ts';
import { PackageStore } from './store.ts';

const skip = without('dpkg-deb');
const never = () => Promise.reject(new Error('asked for a file'));

function setUp(directory: string) {
  const debs = ['one', 'two', 'three'].map((name) =>
    makeDeb(directory, { name, files: { [`usr/${name}`]: `${name}\n` } }),
  );
  const store = new PackageStore(join(directory, 'unpacked'));
  const open = () => store.open(debs, async (missing) => missing.map(({ path }) => ({ path })));
  return { debs, store, open };
}

function temporaries(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.tmp'));
}

test('packages are unpacked once, and read from the cache from then on', { skip }, async () => {
  using directory = scratch();
  const { debs, store, open } = setUp(directory.path);
  {
    await using first = await open();
    assert.deepEqual(
      first.packages.map(({ entries }) => entries.at(-1)?.path),
      ['usr/one', 'usr/two', 'usr/three'],
    );
  }
  await using second = await store.open(debs, never);
  const { entries, contents } = second.packages[1]!;
  const { offset = 0, size = 0 } = entries.at(-1)!;
  assert.equal(new TextDecoder().decode(await contents.read(offset, size)), 'two\n');
});

test('a damaged package of the cache is unpacked anew', { skip }, async () => {
  using directory = scratch();
  const { debs, store, open } = setUp(directory.path);
  await (await open())[Symbol.asyncDispose]();
  const [one, two, three] = debs.map(({ sha256 }) => store.pathOf(sha256));
  truncateSync(one!, statSync(one!).size - 5);
  appendFileSync(two!, 'x');
  writeFileSync(three!, '');
  await assert.rejects(store.open(debs, never), /asked for a file/);
  await using again = await open();
  assert.equal(again.packages.length, 3);
});

test('a broken package leaves nothing in the cache and says which it was', { skip }, async () => {
  using directory = scratch();
  const { debs, store } = setUp(directory.path);
  truncateSync(debs[1]!.path, 200);
  const opening = store.open(debs, async (missing) => missing.map(({ path }) => ({ path })));
  await assert.rejects(opening, { code: 'DEB_BAD_ARCHIVE', message: /two_1\.0-1_all\.deb/ });
  assert.equal(existsSync(store.pathOf(debs[1]!.sha256)), false);
  assert.deepEqual(temporaries(directory.path), []);
});

test('an aborted call ends its threads and leaves nothing half-written', { skip }, async () => {
  using directory = scratch();
  const { debs, store } = setUp(directory.path);
  const abort = new AbortController();
  const opening = store.open(debs, async (missing) => missing.map(({ path }) => ({ path })), {
    signal: abort.signal,
    onProgress: () => abort.abort(),
  });
  await assert.rejects(opening, { name: 'AbortError' });
  assert.deepEqual(temporaries(directory.path), []);
});
