import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';

const main = join(import.meta.dirname, '../main.ts');
const base = mkdtempSync(join(tmpdir(), 'anole-compressed-'));
const archive = join(base, 'archive.tar');

function make(input: string, name: string, stdin?: Uint8Array, ...args: string[]) {
  const image = join(base, name);
  const argv = ['-C', 'anole-source', main, 'fs', 'mk', input, '-o', image, '-q', ...args];
  const { status, stderr } = spawnSync(process.execPath, argv, { input: stdin });
  return { status, stderr: stderr.toString(), bytes: () => readFileSync(image) };
}

function compressed(program: string): Buffer {
  return spawnSync(program, ['-c', archive], { maxBuffer: 2 ** 26 }).stdout;
}

function missing(program: string): string | false {
  return spawnSync(program, ['--help']).error ? `${program} is not installed` : false;
}

before(() => {
  const args = ['-C', import.meta.dirname, '--owner=0', '--group=0', '-cf', archive, '.'];
  assert.equal(spawnSync('tar', args).status, 0);
});
after(() => rmSync(base, { recursive: true, force: true }));

for (const program of ['gzip', 'zstd', 'xz']) {
  test(`an archive that ${program} compressed is read, by whatever name or on stdin`, {
    skip: missing(program),
  }, () => {
    const plain = make(archive, 'plain').bytes();
    const bytes = compressed(program);
    const file = join(base, `${program}-archive`);
    writeFileSync(file, bytes);
    assert.ok(make(file, 'file').bytes().equals(plain));
    assert.ok(make('-', 'stdin', bytes).bytes().equals(plain));
  });

  test(`one that is cut short makes no image, and leaves nothing behind (${program})`, {
    skip: missing(program),
  }, () => {
    const before = readdirSync(base);
    const bytes = compressed(program);
    const { status, stderr } = make('-', 'cut', bytes.subarray(0, bytes.length / 2));
    assert.notEqual(status, 0);
    assert.match(stderr, /(HOST_IO|XZ_DAMAGED)/);
    assert.deepEqual(readdirSync(base), before);
  });
}

test('an image that is to refer to a compressed archive is refused, with what to do', () => {
  const before = readdirSync(base);
  for (const [program, head] of [
    ['gzip', gzipSync(readFileSync(archive))],
    ['lzip', Buffer.from('LZIP\x01 and more')],
  ] as const) {
    const file = join(base, 'packed');
    writeFileSync(file, head);
    const { status, stderr } = make(file, 'index', undefined, '--tar', 'i');
    rmSync(file);
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`${program} compressed it\n.*decompress it`));
    assert.match(stderr, /CLI_COMPRESSION/);
  }
  assert.deepEqual(readdirSync(base), before);
});

test('what is empty is no archive, but two blocks of zeros are one of nothing', () => {
  const before = readdirSync(base);
  const file = join(base, 'nothing');
  writeFileSync(file, '');
  for (const [input, stdin, ...args] of [
    ['-', ''],
    ['-', gzipSync('')],
    [file, ''],
    [file, '', '--tar', 'i'],
  ] as const) {
    const { status, stderr } = make(input, 'image', Buffer.from(stdin), ...args);
    assert.equal(status, 1);
    assert.match(stderr, /it is empty\n.*program failed[\s\S]*CLI_EMPTY/);
  }
  rmSync(file);
  assert.deepEqual(readdirSync(base), before);
  assert.equal(make('-', 'root', Buffer.alloc(1024)).status, 0);
});

test('an archive is taken for one whose first file has a name as compressed ones begin', () => {
  for (const name of ['LZIP-notes', 'BZhang.txt', 'BZh9', '\x1f\x8b\x08', '\x04"M\x18']) {
    const directory = mkdtempSync(join(base, 'named-'));
    // Bytes, of which not all are text.
    writeFileSync(Buffer.from(join(directory, name), 'latin1'), 'content');
    for (const format of ['ustar', 'gnu', 'v7']) {
      // Names of the last kind have no magic number behind them.
      if (format === 'v7' && !name.includes('-') && !name.includes('.')) continue;
      const file = join(base, 'named.tar');
      const names = Buffer.from(`${name}\0`, 'latin1');
      const args = ['-C', directory, `--format=${format}`, '-cf', file, '--null', '-T', '-'];
      assert.equal(spawnSync('tar', args, { input: names }).status, 0);
      const { status, stderr } = make(file, 'named');
      assert.equal(status, 0, `${format} of ${name}: ${stderr}`);
    }
    rmSync(directory, { recursive: true });
  }
});

for (const program of ['bzip2', 'lz4']) {
  test(`of one that ${program} compressed it says what decompresses it`, {
    skip: missing(program),
  }, () => {
    const { status, stderr } = make('-', 'left', compressed(program));
    assert.notEqual(status, 0);
    assert.match(stderr, new RegExp(`next: .*${program} -dc ARCHIVE \\| anole fs mk -`));
  });
}
