import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const main = join(import.meta.dirname, '../main.ts');
const base = mkdtempSync(join(tmpdir(), 'anole-inspect-'));
const source = join(base, 'source');
const image = join(base, 'image.erofs');

function anole(...args: string[]) {
  const argv = ['-C', 'anole-source', main, 'fs', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

function json(...args: string[]) {
  const { status, stdout, stderr } = anole(...args, '--json');
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

before(() => {
  mkdirSync(join(source, 'usr/bin'), { recursive: true });
  mkdirSync(join(source, 'etc'));
  writeFileSync(join(source, 'usr/bin/large.txt'), Buffer.alloc(3_000_000, 'anole likes images '));
  writeFileSync(join(source, 'usr/bin/noise'), readFileSync(process.execPath).subarray(0, 100_000));
  writeFileSync(join(source, 'etc/motd'), 'hello\n');
  json('mk', source, '-o', image, '--no-xattrs', '-z', 'lz4');
});
after(() => rmSync(base, { recursive: true, force: true }));

test('fs check says that an image is sound', () => {
  const { status, stdout } = anole('check', image);
  assert.equal(status, 0);
  assert.match(stdout, /: sound: 0 errors, 0 warnings; 7 inodes/);
  assert.deepEqual(json('check', image).findings, []);
});

test('fs check says what is wrong, where, and what that means', () => {
  const damaged = join(base, 'damaged.erofs');
  copyFileSync(image, damaged);
  const { extents } = json('dump', image, '/usr/bin/large.txt');
  const bytes = readFileSync(damaged);
  bytes.fill(0xff, extents[0].start + 4000, extents[0].start + 4096);
  writeFileSync(damaged, bytes);
  const { status, stdout } = anole('check', damaged);
  assert.equal(status, 1);
  assert.match(
    stdout,
    /error: \/usr\/bin\/large.txt, inode \d+, byte \d+: .*\n {2}EROFS_BAD_DATA: /,
  );
  const report = JSON.parse(anole('check', damaged, '--json').stdout);
  assert.equal(report.errors, 1);
  assert.equal(report.findings[0].offset, extents[0].start);
  assert.equal(anole('check', damaged, '--no-data').status, 0);
});

test('fs check of what is no image is damage, of what is not there another code', () => {
  const { status, stdout } = anole('check', main);
  assert.equal(status, 1);
  assert.match(stdout, /EROFS_BAD_SUPERBLOCK/);
  assert.equal(anole('check', join(base, 'nothing')).status, 2);
});

test('fs dump tells where the bytes go', () => {
  const text = anole('dump', image).stdout;
  assert.match(text, /^lz4 +\d+ +\d+ +\d+\.\d %/m);
  const all = json('dump', image);
  assert.equal(all.types.file, 3);
  assert.equal(all.top.usr.files, 2);
  assert.ok(all.files.lz4.stored < all.files.lz4.bytes / 10);
  const { nid, extents } = json('dump', image, '/etc/motd');
  assert.deepEqual([extents.length, extents[0].kind, extents[0].length], [1, 'inode', 6]);
  assert.equal(json('stat', image, '/etc/motd').nid, nid);
  assert.match(anole('stat', image, '/etc/motd').stdout, new RegExp(`inode +${nid}\n`));
  assert.match(anole('dump', image, '--nid', String(nid)).stdout, /6 bytes in 6/);
});

test('fs du sums directories up', () => {
  const rows = json('du', image, '--all') as { path: string; stored: number; bytes: number }[];
  const of = (path: string) => rows.find((row) => row.path === path)!;
  assert.equal(of('/').bytes, 3_100_006);
  assert.equal(of('/usr').bytes, 3_100_000);
  assert.ok(of('/usr/bin/large.txt').stored < 100_000);
  assert.equal(of('/usr').stored + of('/etc').stored < of('/').stored, true);
  assert.match(anole('du', '-s', '-b', image).stdout, /^ +\d+ +3100006 {2}\/\n$/);
});

test('fs diff compares directories, archives and images', {
  skip: spawnSync('tar', ['--version']).error ? 'tar is not installed' : false,
}, () => {
  const archive = join(base, 'archive.tar.gz');
  spawnSync('tar', ['-C', source, '-czf', archive, '.']);
  const same = anole('diff', source, image);
  assert.deepEqual([same.status, same.stdout], [0, ''], same.stderr);
  assert.equal(anole('diff', archive, image, '--times', 'seconds').status, 0);
  const other = join(base, 'other');
  spawnSync('cp', ['-a', source, other]);
  writeFileSync(join(other, 'etc/motd'), 'hallo\n');
  writeFileSync(join(other, 'etc/more'), '');
  const different = anole('diff', image, other, '--ignore', 'mtime', '--hashes');
  assert.equal(different.status, 1);
  assert.match(different.stdout, /^\/etc\/more: only in the second tree \(file\)$/m);
  assert.match(different.stdout, /^\/etc\/motd: content at byte 1 0x65 against 0x61\n {2}sha256 /m);
  const brief = anole('diff', image, other, '--brief').stdout;
  assert.equal(brief, '/etc: differs\n/etc/more: only in the second tree\n/etc/motd: differs\n');
  const list = JSON.parse(anole('diff', image, other, '--json', '--exclude', '/etc').stdout);
  assert.deepEqual(list, []);
  assert.equal(anole('diff', image, join(base, 'nothing')).status, 2);
  assert.match(anole('diff', image, other, '--ignore', 'all').stderr, /CLI_USAGE/);
});
