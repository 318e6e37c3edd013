import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type CpioEntry, writeCpio } from './cpio.ts';

const entries: CpioEntry[] = [
  { path: 'etc', type: 'directory', mode: 0o755 },
  { path: 'etc/odd', type: 'file', mode: 0o640, bytes: Uint8Array.of(1, 2, 3) },
  { path: 'etc/empty', type: 'file', mode: 0o644, bytes: new Uint8Array(0) },
  { path: 'etc/größe', type: 'file', mode: 0o644, bytes: new Uint8Array(4096).fill(7) },
  { path: 'bin', type: 'symlink', mode: 0o777, target: 'usr/bin' },
];
const hasCpio = spawnSync('cpio', ['--version']).status === 0;
const needsCpio = { skip: hasCpio ? false : 'cpio is not installed' };

test('an archive is a multiple of 512 bytes, so that another may follow', () => {
  assert.equal(writeCpio(entries).length % 512, 0);
  assert.equal(writeCpio([]).length, 512);
});

test('cpio unpacks what is written', needsCpio, () => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-cpio-'));
  try {
    const run = spawnSync('cpio', ['-id'], { cwd: directory, input: writeCpio(entries) });
    assert.equal(run.status, 0, String(run.stderr));
    assert.deepEqual([...readFileSync(join(directory, 'etc/odd'))], [1, 2, 3]);
    assert.equal(lstatSync(join(directory, 'etc/odd')).mode & 0o7777, 0o640);
    assert.equal(readFileSync(join(directory, 'etc/empty')).length, 0);
    assert.equal(readFileSync(join(directory, 'etc/größe')).length, 4096);
    assert.equal(readlinkSync(join(directory, 'bin')), 'usr/bin');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('cpio lists devices with their numbers', needsCpio, () => {
  const device: CpioEntry = { path: 'null', type: 'character', mode: 0o666, major: 1, minor: 3 };
  const { stdout } = spawnSync('cpio', ['-itv'], { input: writeCpio([device]) });
  assert.match(String(stdout), /^crw-rw-rw- .* 1,\s+3 .* null\n$/);
});
