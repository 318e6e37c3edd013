import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  makeArchive,
  now,
  requestFor,
  serve,
  sha256,
  type TestArchive,
} from './archive.fixture.ts';
import { ArchiveError } from './errors.ts';
import { openArchive } from './open.ts';
import { checkRelease, parseRelease } from './release.ts';

const text = [
  'Suite: stable',
  'Codename: trixie',
  'Version: 13.7',
  'Date: Sat, 12 Sep 2026 07:55:41 UTC',
  'Valid-Until: Sat, 19 Sep 2026 07:55:41 UTC',
  'Acquire-By-Hash: yes',
  'No-Support-for-Architecture-all: Packages',
  'Architectures: all amd64 riscv64',
  'Components: main contrib',
  'MD5Sum:',
  ' 3e498904a30e240573dac8ddac594e6f  1961125 main/binary-amd64/Packages',
  'SHA256:',
  ` ${sha256('')}  1961125 main/binary-amd64/Packages`,
  '',
].join('\n');

test('a Release file is parsed', () => {
  const release = parseRelease(text, 'Release');
  assert.equal(release.date, Date.UTC(2026, 8, 12, 7, 55, 41) / 1000);
  assert.equal(release.validUntil! - release.date, 7 * 86_400);
  assert.deepEqual(release.architectures, ['all', 'amd64', 'riscv64']);
  assert.equal(release.separateAll, false);
  assert.equal(release.byHash, true);
  assert.deepEqual(
    [...release.files],
    [['main/binary-amd64/Packages', { size: 1_961_125, sha256: sha256('') }]],
  );
});

test('a Release file without a date, with a bad one, or without hashes is refused', () => {
  const bad = [
    text.replace(/^Date.*\n/m, ''),
    text.replace(/^Date.*/m, 'Date: yesterday'),
    text.replace(/^Valid-Until.*/m, 'Valid-Until: 2026'),
    text.replace(/SHA256:\n.*\n/, ''),
    text.replace(sha256(''), 'abc'),
    '',
    `${text}\n${text}`,
  ];
  for (const each of bad) {
    assert.throws(() => parseRelease(each, 'Release'), { code: 'ARCHIVE_BAD_RELEASE' }, each);
  }
});

test('a Release file is judged by the suite asked for and the time', () => {
  const release = parseRelease(text, 'Release');
  const time = (days: number) => release.date * 1000 + days * 86_400_000;
  const checks = { suite: 'trixie', checkValidUntil: true, checkDate: true, future: 10 };
  const check = (change: object) =>
    checkRelease(release, { ...checks, now: time(1), ...change }, 'Release');
  check({});
  check({ suite: 'stable' });
  assert.throws(() => check({ suite: 'bookworm' }), { code: 'ARCHIVE_WRONG_SUITE' });
  assert.throws(() => check({ now: time(-1) }), { code: 'ARCHIVE_FUTURE_RELEASE' });
  check({ now: time(-1), checkDate: false });
  check({ now: time(0) - 9000 });
  assert.throws(() => check({ now: time(8) }), { code: 'ARCHIVE_EXPIRED_RELEASE' });
  check({ now: time(8), checkValidUntil: false });
});

test('damaged Release files are coded errors', () => {
  const property = fc.property(fc.nat(text.length), fc.string({ maxLength: 9 }), (at, put) => {
    try {
      parseRelease(text.slice(0, at) + put + text.slice(at + 3), 'Release');
    } catch (error) {
      assert.ok(error instanceof ArchiveError, String(error));
    }
  });
  fc.assert(property, { seed: 7, numRuns: 500 });
});

const packages = [{ name: 'hello' }];

const replays: readonly (readonly [string, Partial<TestArchive>, string])[] = [
  ['another suite', { codename: 'bookworm' }, 'ARCHIVE_WRONG_SUITE'],
  [
    'an old one',
    { release: { 'Valid-Until': new Date(now - 1000).toUTCString() } },
    'ARCHIVE_EXPIRED_RELEASE',
  ],
  [
    'one of the future',
    { release: { Date: new Date(now + 3_600_000).toUTCString() } },
    'ARCHIVE_FUTURE_RELEASE',
  ],
];

for (const [what, change, code] of replays) {
  test(`a mirror that serves ${what} under the suite's name is refused`, async (context) => {
    const mirror = await serve(context, await makeArchive({ packages, ...change }));
    await assert.rejects(openArchive(await requestFor(context, mirror)), { code });
  });
}
