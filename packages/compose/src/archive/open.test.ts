import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Progress } from '@anole/bytes';
import { makeArchive, makeKey, now, requestFor, serve, sha256 } from './archive.fixture.ts';
import { openArchive, openPool } from './open.ts';

const packages = [{ name: 'hello', version: '1:2.0-1', content: 'the package' }, { name: 'world' }];

test('an archive is opened, and a package of it fetched', async (context) => {
  const mirror = await serve(context, await makeArchive({ packages }));
  const archive = await openArchive(await requestFor(context, mirror));
  assert.equal(archive.packages.size, 2);
  const [release] = archive.releases;
  assert.equal(release!.version, '13.1');
  assert.equal(release!.date, (now - 7_200_000) / 1000);
  assert.match(release!.signedBy[0]!, /^[0-9A-F]{40}$/);
  const hello = archive.packages.get('hello')!;
  const { path } = await archive.fetch(hello);
  assert.equal(readFileSync(path, 'utf8'), 'the package');
});

test('what the cache has is not downloaded again', async (context) => {
  const mirror = await serve(context, await makeArchive({ packages }));
  const request = await requestFor(context, mirror);
  for (let round = 0; round < 2; round++) {
    const archive = await openArchive(request);
    await archive.fetchAll([archive.packages.get('hello')!, archive.packages.get('world')!]);
  }
  const counts = new Map<string, number>();
  for (const path of mirror.requests) counts.set(path, (counts.get(path) ?? 0) + 1);
  assert.equal(counts.get('dists/trixie/InRelease'), 2);
  counts.delete('dists/trixie/InRelease');
  assert.deepEqual([...counts.values()], [1, 1, 1]);
});

test('an archive is opened offline out of the cache, and refused where it is not there', async (context) => {
  const mirror = await serve(context, await makeArchive({ packages }));
  const request = await requestFor(context, mirror);
  const offline = { ...request, offline: true };
  await assert.rejects(openArchive(offline), { code: 'ARCHIVE_OFFLINE' });
  const online = await openArchive(request);
  await online.fetch(online.packages.get('hello')!);
  mirror.requests.length = 0;
  const archive = await openArchive(offline);
  await archive.fetch(archive.packages.get('hello')!);
  await assert.rejects(archive.fetch(archive.packages.get('world')!), { code: 'ARCHIVE_OFFLINE' });
  assert.deepEqual(mirror.requests, []);
});

test('progress counts the bytes of all packages together and does not fall', async (context) => {
  const mirror = await serve(context, await makeArchive({ packages }));
  const archive = await openArchive(await requestFor(context, mirror));
  const records = [archive.packages.get('hello')!, archive.packages.get('world')!];
  const reports: Progress[] = [];
  await archive.fetchAll(records, { onProgress: (progress) => reports.push(progress) });
  const done = reports.map((progress) => progress.done);
  assert.deepEqual(
    done,
    done.toSorted((a, b) => a - b),
  );
  assert.deepEqual(reports.at(-1)!.done, 16);
  assert.ok(reports.every(({ step, total }) => step === 'download packages' && total === 16));
});

test('an optional suite that is missing is reported, a required one refused', async (context) => {
  const mirror = await serve(context, await makeArchive({ packages }));
  const request = await requestFor(context, mirror);
  const updates = { name: 'trixie-updates', optional: true };
  const archive = await openArchive({ ...request, suites: ['trixie', updates] });
  assert.deepEqual(
    archive.missing.map(({ suite }) => suite),
    ['trixie-updates'],
  );
  assert.match(archive.missing[0]!.reason, /dists\/trixie-updates\/InRelease: no such file$/);
  const required = openArchive({ ...request, suites: ['trixie', 'trixie-updates'] });
  await assert.rejects(required, { code: 'ARCHIVE_NOT_FOUND' });
});

test('an optional suite that is forged is refused all the same', async (context) => {
  const files = await makeArchive({ packages });
  const forged = await makeArchive({ suite: 'trixie-updates', packages, keys: [await makeKey()] });
  const mirror = await serve(context, new Map([...files, ...forged]));
  const suites = ['trixie', { name: 'trixie-updates', optional: true }];
  const opening = openArchive({ ...(await requestFor(context, mirror)), suites });
  await assert.rejects(opening, { code: 'ARCHIVE_UNKNOWN_KEY' });
});

test('an architecture or component that a suite lacks is named, with what it has', async (context) => {
  const mirror = await serve(context, await makeArchive({ packages }));
  const request = await requestFor(context, mirror);
  await assert.rejects(openArchive({ ...request, architecture: 'sparc' }), {
    code: 'ARCHIVE_NO_INDEX',
    hint: 'It has the components main for riscv64.',
  });
  await assert.rejects(openArchive({ ...request, components: ['contrib'] }), {
    code: 'ARCHIVE_NO_INDEX',
  });
});

test('an index is taken by its plain name where the mirror has none by its hash', async (context) => {
  const files = await makeArchive({ packages });
  for (const path of files.keys()) if (path.includes('by-hash')) files.delete(path);
  const mirror = await serve(context, files);
  const archive = await openArchive(await requestFor(context, mirror));
  assert.equal(archive.packages.size, 2);
});

test('an index that is cut off or changed is refused', async (context) => {
  for (const damage of [cutOff, changed]) {
    const files = await makeArchive({ packages });
    for (const [path, bytes] of files) if (path.includes('binary-')) files.set(path, damage(bytes));
    const mirror = await serve(context, files);
    const opening = openArchive(await requestFor(context, mirror));
    await assert.rejects(opening, { code: 'ARCHIVE_WRONG_HASH' });
  }
});

test('an index that is not what its signed hashes promise once decompressed is refused', async (context) => {
  const packs = [
    (index: Uint8Array) => index.subarray(1),
    (index: Uint8Array) => gzipSync(index.subarray(1)),
    (index: Uint8Array) => gzipSync(Buffer.concat([index, index])),
    (index: Uint8Array) => gzipSync(index).subarray(0, -9),
  ];
  for (const pack of packs) {
    const mirror = await serve(context, await makeArchive({ packages, pack }));
    const opening = openArchive(await requestFor(context, mirror));
    await assert.rejects(opening, { code: 'ARCHIVE_BAD_COMPRESSION' });
  }
});

test('a mirror that goes back to an older release does not take the archive back', async (context) => {
  const date = (hours: number) => ({ Date: new Date(now - hours * 3_600_000).toUTCString() });
  const mirror = await serve(context, await makeArchive({ packages, release: date(2) }));
  const request = await requestFor(context, mirror);
  await openArchive(request);
  const older = await makeArchive({ packages: [{ name: 'hello' }], release: date(3) });
  for (const [path, bytes] of older) mirror.files.set(path, bytes);
  assert.equal((await openArchive(request)).packages.size, 2);
  const newer = await makeArchive({ packages: [{ name: 'hello' }], release: date(1) });
  for (const [path, bytes] of newer) mirror.files.set(path, bytes);
  assert.equal((await openArchive(request)).packages.size, 1);
});

function cutOff(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.length - 5);
}

function changed(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.from(bytes);
  copy[bytes.length >> 1]! ^= 1;
  return copy;
}

test('a suite for all architectures has its indexes for all read too', async (context) => {
  const files = await makeArchive({ packages, release: { Architectures: 'all riscv64' } });
  const mirror = await serve(context, files);
  // The fixture's Release file lists no index for all: the archive must notice.
  const opening = openArchive(await requestFor(context, mirror));
  await assert.rejects(opening, { code: 'ARCHIVE_NO_INDEX' });
});

test('a pool fetches the files of a lock without reading indexes', async (context) => {
  const mirror = await serve(context, await makeArchive({ packages }));
  const request = await requestFor(context, mirror);
  const pool = await openPool(request);
  const file = {
    name: 'world',
    version: '1.0',
    architecture: 'riscv64',
    suite: 'trixie',
    filename: 'pool/world_1.0_riscv64.deb',
    size: 5,
    sha256: sha256('world'),
  };
  const { path } = await pool.fetch(file);
  assert.equal(readFileSync(path, 'utf8'), 'world');
  assert.deepEqual(mirror.requests, ['pool/world_1.0_riscv64.deb']);
  const climbing = { ...file, sha256: sha256('?'), filename: '../../etc/passwd' };
  await assert.rejects(pool.fetch(climbing), { code: 'ARCHIVE_BAD_CONTROL' });
  const gone = { ...file, sha256: sha256('?'), filename: 'pool/gone.deb' };
  await assert.rejects(pool.fetch(gone), { code: 'ARCHIVE_NOT_FOUND' });
});
