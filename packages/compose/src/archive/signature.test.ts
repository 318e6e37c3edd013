import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import * as openpgp from 'openpgp';
import {
  clearSign,
  makeKey,
  now,
  type SigningKey,
  scratchDirectory,
  sharedKey,
} from './archive.fixture.ts';
import { verifySigned } from './signature.ts';

const text = 'Suite: stable\n- a line with a dash\nFrom me\n\nDate: today  \n';

let key: SigningKey;
let other: SigningKey;

before(async () => {
  key = await sharedKey();
  other = await makeKey({ name: 'Somebody Else' });
});

function verify(message: string, keys: readonly SigningKey[] = [key], at = now) {
  const ring = keys.map((each) => each.public);
  return verifySigned(message, ring, 'InRelease', at);
}

function fingerprint(of: SigningKey): string {
  return of.public.getFingerprint().toUpperCase();
}

test('the text of a good signature is given, dashes restored, with who signed it', async () => {
  const signed = await verify(await clearSign(text, [key]));
  assert.equal(signed.text, text.replace('today  ', 'today'));
  assert.deepEqual(signed.signedBy, [fingerprint(key)]);
});

test('one good signature by a known key is enough', async () => {
  const signed = await verify(await clearSign(text, [other, key]));
  assert.deepEqual(signed.signedBy, [fingerprint(key)]);
  const both = await verify(await clearSign(text, [other, key]), [key, other]);
  assert.deepEqual(both.signedBy.toSorted(), [fingerprint(key), fingerprint(other)].toSorted());
});

test('what surrounds the signed message is not part of its text', async () => {
  const message = await clearSign(text, [key]);
  const signed = await verify(`Suite: forged\n${message}\nSuite: forged\n`).catch(() => undefined);
  assert.doesNotMatch(signed?.text ?? '', /forged/);
});

test('a changed text has a bad signature', async () => {
  const message = (await clearSign(text, [key])).replace('stable', 'sid');
  await assert.rejects(verify(message), { code: 'ARCHIVE_BAD_SIGNATURE' });
});

test('a signature by a key that is not in the ring is refused', async () => {
  await assert.rejects(verify(await clearSign(text, [other])), { code: 'ARCHIVE_UNKNOWN_KEY' });
});

test('text that is not clear-signed is refused', async () => {
  for (const message of ['', text, '<html>Log in first</html>']) {
    await assert.rejects(verify(message), { code: 'ARCHIVE_NOT_SIGNED' });
  }
});

test('a key that has expired since does not count', async () => {
  const days = 86_400;
  const short = await makeKey({ expires: 400 * days });
  const message = await clearSign(text, [short]);
  await verify(message, [short]);
  const later = verify(message, [short], now + 200 * days * 1000);
  await assert.rejects(later, { code: 'ARCHIVE_EXPIRED_KEY' });
});

test('a revoked key does not count', async () => {
  const message = await clearSign(text, [key]);
  const { publicKey } = await openpgp.revokeKey({
    key: key.private,
    date: new Date(now - 1000),
    format: 'object',
  });
  const revoked = verifySigned(message, [publicKey], 'InRelease', now);
  await assert.rejects(revoked, { code: 'ARCHIVE_REVOKED_KEY' });
});

test('a signature from the future is bad', async () => {
  const message = await clearSign(text, [key], { date: new Date(now + 86_400_000) });
  await assert.rejects(verify(message), { code: 'ARCHIVE_BAD_SIGNATURE' });
});

test('a signature by a short RSA key is too weak', async () => {
  const short = await makeKey({ rsaBits: 1024 });
  const weak = verify(await clearSign(text, [short]), [short]);
  await assert.rejects(weak, { code: 'ARCHIVE_WEAK_SIGNATURE' });
});

test('gpgv agrees about messages that are good, changed, or by another', async (context) => {
  if (spawnSync('gpgv', ['--version']).error) return context.skip('gpgv is not installed');
  const good = await clearSign(text, [key, other]);
  const messages = [good, good.replace('stable', 'sid'), await clearSign(text, [other])];
  for (const message of messages) {
    const ours = await verify(message).then(
      ({ signedBy }) => signedBy,
      () => [],
    );
    assert.deepEqual(ours, gpgv(context, message, key));
  }
});

/** Fingerprints of the primary keys whose signatures gpgv finds good. */
function gpgv(context: TestContext, message: string, ring: SigningKey): string[] {
  const directory = scratchDirectory(context);
  writeFileSync(join(directory, 'ring.gpg'), ring.public.write());
  writeFileSync(join(directory, 'message'), message);
  const options = ['--status-fd', '1', '--keyring', './ring.gpg', 'message'];
  const { stdout } = spawnSync('gpgv', ['--homedir', directory, ...options], {
    cwd: directory,
    encoding: 'utf8',
  });
  return [...stdout.matchAll(/VALIDSIG .* ([0-9A-F]{40})$/gm)].map((match) => match[1]!);
}

test('what gpg signs is good, but for digests that are too weak', async (context) => {
  if (spawnSync('gpg', ['--version']).error) return context.skip('gpg is not installed');
  const home = scratchDirectory(context);
  const gpg = (args: readonly string[], input = '') => {
    const all = ['--homedir', home, '--batch', '--pinentry-mode', 'loopback', ...args];
    return execFileSync('gpg', all, { input, stdio: ['pipe', 'pipe', 'ignore'] });
  };
  context.after(() => spawnSync('gpgconf', ['--homedir', home, '--kill', 'all']));
  gpg(['--passphrase', '', '--quick-generate-key', 'test', 'rsa2048', 'sign', '0']);
  const ring = await openpgp.readKeys({ binaryKeys: gpg(['--export']) });
  const sign = (digest: string) => gpg(['--digest-algo', digest, '--clear-sign'], text).toString();
  const at = Date.now() + 60_000;
  const signed = await verifySigned(sign('SHA512'), ring, 'message', at);
  assert.match(signed.text, /^- a line with a dash$/m);
  const weak = verifySigned(sign('SHA1'), ring, 'message', at);
  await assert.rejects(weak, { code: 'ARCHIVE_WEAK_SIGNATURE' });
});

test('damaged messages are coded errors', async () => {
  const message = await clearSign(text, [key]);
  const damaged = fc
    .array(fc.tuple(fc.nat(message.length - 1), fc.string({ maxLength: 3 })), { minLength: 1 })
    .map((changes) =>
      changes.reduce((all, [at, put]) => all.slice(0, at) + put + all.slice(at + 2), message),
    );
  const property = fc.asyncProperty(damaged, async (candidate) => {
    const signed = await verify(candidate).catch((error: unknown) => error);
    const code = (signed as { code?: string }).code;
    if (code !== undefined) return assert.match(code, /^ARCHIVE_/);
    assert.equal((signed as { text?: string }).text, text.replace('today  ', 'today'));
  });
  await fc.assert(property, { seed: 7, numRuns: 200 });
});

const debianRing = '/usr/share/keyrings/debian-archive-keyring.gpg';

test("the pinned fingerprints are those of Debian's keyring", async (context) => {
  if (!existsSync(debianRing)) return context.skip('debian-archive-keyring is not installed');
  const { pinnedKeys } = await import('./pinned-keys.ts');
  const keys = await openpgp.readKeys({ binaryKeys: readFileSync(debianRing) });
  const inRing = new Set(keys.map((each) => each.getFingerprint().toUpperCase()));
  const known = [...pinnedKeys.keys()].filter((each) => inRing.has(each));
  assert.ok(known.length >= 6, `${known.length} of ${pinnedKeys.size} are in the ring`);
});
