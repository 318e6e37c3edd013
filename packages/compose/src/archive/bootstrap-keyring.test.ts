import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { makeDeb, without } from '../testing/debs.ts';
import {
  makeArchive,
  makeKey,
  requestFor,
  type SigningKey,
  scratchDirectory,
  serve,
  sharedKey,
} from './archive.fixture.ts';
import { bootstrapKeyring } from './bootstrap-keyring.ts';
import { makeContext } from './context.ts';
import { openArchive } from './open.ts';

const skip = without('dpkg-deb');

function fingerprint(key: SigningKey): string {
  return key.public.getFingerprint().toUpperCase();
}

/** A request of a machine without keyring, to an archive with a package that has the keys. */
async function bareMachine(context: TestContext, keys: readonly SigningKey[]) {
  const ring = Buffer.concat(keys.map((key) => key.public.write()));
  const name = 'debian-archive-keyring';
  const { path } = makeDeb(scratchDirectory(context), {
    name,
    files: { [`usr/share/keyrings/${name}.gpg`]: ring },
  });
  const packages = [{ name, content: readFileSync(path) }];
  const mirror = await serve(context, await makeArchive({ packages }));
  const { keyring: _none, ...request } = await requestFor(context, mirror);
  return { mirror, request };
}

test("keys of the archive's own package count where their fingerprints are pinned", {
  skip,
}, async (context) => {
  const key = await sharedKey();
  const { mirror, request } = await bareMachine(context, [await makeKey(), key]);
  const pinned = new Map([[fingerprint(key), 'the archive']]);
  const find = async () =>
    bootstrapKeyring(await makeContext(request), 'trixie-security', 'riscv64', pinned);
  const fingerprints = (await find()).map((each) => each.getFingerprint().toUpperCase());
  assert.deepEqual(fingerprints, [fingerprint(key)]);
  mirror.requests.length = 0;
  assert.equal((await find()).length, 1);
  assert.deepEqual(mirror.requests, []);
});

test('an archive whose keys are not pinned is refused', { skip }, async (context) => {
  const { request } = await bareMachine(context, [await sharedKey()]);
  await assert.rejects(openArchive(request), { code: 'ARCHIVE_NO_KEYRING' });
});

test('an archive without a package of keys is refused', async (context) => {
  const mirror = await serve(context, await makeArchive({ packages: [{ name: 'a' }] }));
  const { keyring: _none, ...request } = await requestFor(context, mirror);
  await assert.rejects(openArchive(request), {
    code: 'ARCHIVE_NO_KEYRING',
    hint: "Install debian-archive-keyring, or give the archive's public keys with --keyring.",
  });
});

test('a package of keys that is damaged is refused', async (context) => {
  const packages = [{ name: 'debian-archive-keyring', content: 'no package' }];
  const mirror = await serve(context, await makeArchive({ packages }));
  const { keyring: _none, ...request } = await requestFor(context, mirror);
  await assert.rejects(openArchive(request), { code: 'ARCHIVE_NO_KEYRING' });
});
