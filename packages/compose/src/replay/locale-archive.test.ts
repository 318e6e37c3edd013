import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratch, without } from '../testing/debs.ts';
import { archiveLocale } from './locale-archive.ts';
import { Rootfs } from './rootfs.ts';

const directory = '/usr/lib/locale';
const archive = `${directory}/locale-archive`;
const files = [
  ...['ADDRESS', 'COLLATE', 'CTYPE', 'IDENTIFICATION', 'MEASUREMENT', 'MESSAGES', 'MONETARY'],
  ...['NAME', 'NUMERIC', 'PAPER', 'TELEPHONE', 'TIME'],
].map((name) => (name === 'MESSAGES' ? 'LC_MESSAGES/SYS_LC_MESSAGES' : `LC_${name}`));
const skip =
  without('localedef', '--version') ||
  (existsSync(`${directory}/C.utf8`) ? false : `no ${directory}/C.utf8`);

/** This computer's C.utf8. */
function hostLocale(): Rootfs {
  const rootfs = Rootfs.empty(0);
  for (const file of files) {
    const path = `${directory}/C.utf8/${file}`;
    rootfs.write(path, readFileSync(path));
  }
  return rootfs;
}

test('localedef knows the locale of an archive, and adds to it', { skip }, async () => {
  const rootfs = hostLocale();
  await archiveLocale(rootfs, 'C.UTF-8');
  using made = scratch();
  const prefix = made.path;
  mkdirSync(join(prefix, directory), { recursive: true });
  writeFileSync(join(prefix, archive), (await rootfs.bytes(archive))!);
  const localedef = (...args: string[]) =>
    execFileSync('localedef', [`--prefix=${prefix}`, ...args], { encoding: 'utf8' });
  assert.equal(localedef('--list-archive'), 'C.utf8\n');
  const other = join(prefix, 'other.utf8');
  execFileSync('cp', ['-r', `${directory}/C.utf8`, other]);
  localedef('--quiet', '--add-to-archive', other);
  assert.equal(localedef('--list-archive'), 'C.utf8\nother.utf8\n');
  localedef('--delete-from-archive', 'C.utf8');
  assert.equal(localedef('--list-archive'), 'other.utf8\n');
});

test('an archive has the bytes of each category where it says', { skip }, async () => {
  const rootfs = hostLocale();
  await archiveLocale(rootfs, 'C.UTF-8');
  const bytes = (await rootfs.bytes(archive))!;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const record = view.getUint32(32, true);
  const places = Array.from({ length: 13 }, (_, n) => [
    view.getUint32(record + 4 + 8 * n, true),
    view.getUint32(record + 8 + 8 * n, true),
  ]);
  const there = places.map(([at, length]) => Buffer.from(bytes.subarray(at, at! + length!)));
  for (const file of files) {
    const content = readFileSync(`${directory}/C.utf8/${file}`);
    assert.ok(
      there.some((part) => part.equals(content)),
      file,
    );
  }
  assert.ok(places.every(([at, length]) => at! % 16 === 0 && at! + length! <= bytes.length));
});

test('only a locale that is there goes into an archive, and none is replaced', async () => {
  for (const lang of [undefined, 'C', 'C.UTF-8', '../x.utf8', 'de_DE.UTF-8']) {
    const rootfs = Rootfs.empty(0);
    rootfs.write(`${directory}/C.utf8/LC_CTYPE`, 'half of it');
    await archiveLocale(rootfs, lang);
    assert.equal(rootfs.at(archive), undefined, lang ?? 'none');
  }
  const rootfs = Rootfs.empty(0);
  for (const file of files) rootfs.write(`${directory}/C.utf8/${file}`, file);
  rootfs.write(archive, 'its own');
  await archiveLocale(rootfs, 'C.UTF-8');
  assert.equal(await rootfs.text(archive), 'its own');
});
