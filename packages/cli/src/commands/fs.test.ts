import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const main = join(import.meta.dirname, '../main.ts');
const base = mkdtempSync(join(tmpdir(), 'anole-fs-'));
const source = join(base, 'source');
const image = join(base, 'made', 'image.erofs');

function anole(args: readonly string[], input?: Uint8Array) {
  const argv = ['-C', 'anole-source', main, 'fs', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, {
    ...(input && { input }),
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status, stdout, stderr: stderr.toString() };
}

function json(...args: string[]) {
  const { status, stdout, stderr } = anole([...args, '--json']);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout.toString());
}

before(() => {
  mkdirSync(join(source, 'sub/deeper'), { recursive: true });
  writeFileSync(join(source, 'sub/hello'), 'hello, image\n');
  writeFileSync(join(source, 'sub/large'), Buffer.alloc(3_000_000, 'anole '));
  chmodSync(join(source, 'sub/hello'), 0o4750);
  linkSync(join(source, 'sub/hello'), join(source, 'again'));
  symlinkSync('sub/hello', join(source, 'link'));
  writeFileSync(join(source, 'sub/deeper/\x1b[31mred'), '');
  utimesSync(join(source, 'sub/hello'), 1_600_000_000, 1_600_000_000);
  const made = json('mk', source, '-o', image, '--no-xattrs', '--name', 'test', '--time', '7');
  assert.equal(made.inodes, 7);
});
after(() => rmSync(base, { recursive: true, force: true }));

test('fs mk says first what is wrong about what it was given, then what is missing', () => {
  const wrong = anole(['mk', source, '--nonsense']);
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /unknown option '--nonsense'/);
  const less = anole(['mk', source]);
  assert.equal(less.status, 2);
  assert.match(less.stderr, /required option '-o, --output <image>' not specified/);
});

test('fs ls shows what is in a directory, as text and as JSON', () => {
  const plain = anole(['ls', image]);
  assert.equal(plain.stdout.toString(), 'again\nlink\nsub\n');
  const long = anole(['ls', '-l', image, '/sub/hello']).stdout.toString();
  assert.match(long, /^-rwsr-x--- 2 \d+ \d+ 13 1970-01-01 00:00:07 \/sub\/hello\n$/);
  assert.match(anole(['ls', '-l', image]).stdout.toString(), / link -> sub\/hello\n/);
  const all = json('ls', '-R', image) as { path: string; size: number }[];
  assert.deepEqual(
    all.map(({ path }) => path),
    [
      '/again',
      '/link',
      '/sub',
      '/sub/deeper',
      '/sub/hello',
      '/sub/large',
      '/sub/deeper/\x1b[31mred',
    ],
  );
});

test('fs ls shows names so that they cannot steer the terminal', () => {
  const { stdout } = anole(['ls', '-R', image, 'sub']);
  assert.equal(stdout.toString(), 'sub:\ndeeper\nhello\nlarge\n\nsub/deeper:\n\\x1b[31mred\n');
});

test('fs cat prints files whole, through links too', () => {
  const { stdout } = anole(['cat', image, 'link', '/sub/large']);
  const expected = Buffer.concat([
    readFileSync(join(source, 'again')),
    readFileSync(join(source, 'sub/large')),
  ]);
  assert.ok(stdout.equals(expected));
});

test('fs stat describes the image and files in it', () => {
  const whole = json('stat', image);
  assert.equal(whole.volumeName, 'test');
  assert.equal(whole.size, readFileSync(image).length);
  const file = json('stat', image, 'sub/hello');
  assert.deepEqual(
    [file.mode, file.nlink, file.size, file.mtime, file.layout],
    ['4750', 2, 13, { seconds: 7, nanoseconds: 0 }, 'inline'],
  );
  assert.equal(json('stat', image, 'link').target, 'sub/hello');
  assert.match(anole(['stat', image, 'link']).stdout.toString(), /target\s+sub\/hello/);
});

test('fs unpack gives the files back', () => {
  const target = join(base, 'unpacked');
  const report = json('unpack', image, target, '--no-xattrs');
  assert.equal(report.entries, 8);
  assert.deepEqual(report.skipped, []);
  const { status, stdout } = spawnSync('diff', ['-r', '--no-dereference', source, target]);
  assert.equal(status, 0, stdout.toString());
  const again = anole(['unpack', image, target]);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /HOST_EXISTS/);
});

test('fs unpack gives a directory of the image alone', () => {
  const target = join(base, 'some');
  assert.equal(json('unpack', image, target, '--no-xattrs', '--path', '/sub').entries, 5);
  const { status, stdout } = spawnSync('diff', ['-r', join(source, 'sub'), target]);
  assert.equal(status, 0, stdout.toString());
  const file = anole(['unpack', image, join(base, 'none'), '--path', 'sub/hello']);
  assert.equal(file.status, 1);
  assert.match(file.stderr, /VFS_NOT_DIRECTORY/);
});

test('images are read that begin somewhere in a file', () => {
  const disk = join(base, 'disk');
  const bytes = readFileSync(image);
  writeFileSync(disk, Buffer.concat([Buffer.alloc(12_345, 'disk'), bytes]));
  const at = ['--offset', '12345'];
  assert.equal(
    anole(['cat', disk, 'sub/hello', ...at]).stdout.toString(),
    anole(['cat', image, 'sub/hello']).stdout.toString(),
  );
  assert.equal(json('stat', disk, ...at).size, bytes.length);
  assert.match(anole(['check', disk, ...at]).stdout.toString(), /sound/);
  const target = join(base, 'of-disk');
  assert.equal(json('unpack', disk, target, '--no-xattrs', ...at).entries, 8);
  for (const wrong of ['x', '-1', '999999999']) {
    const { status, stderr } = anole(['ls', disk, `--offset=${wrong}`]);
    assert.equal(status, 2);
    assert.match(stderr, /Cannot use --offset/);
  }
});

test('fs mk takes archives, compressed or not, from a file or a pipe', {
  skip: spawnSync('tar', ['--version']).error ? 'tar is not installed' : false,
}, () => {
  const images = ['--no-auto-compress', '--gzip', '--zstd'].map((flag) => {
    const argv = ['-C', source, '-c', flag, '--sort=name', '.'];
    const { stdout } = spawnSync('tar', argv, { maxBuffer: 64 * 1024 * 1024 });
    const archive = join(base, `archive${flag}`);
    writeFileSync(archive, stdout);
    const piped = anole(['mk', '-', '-o', '-', '--time', '7'], stdout);
    assert.equal(piped.status, 0, piped.stderr);
    assert.equal(anole(['mk', archive, '-o', `${archive}.erofs`, '--time', '7']).status, 0);
    assert.ok(readFileSync(`${archive}.erofs`).equals(piped.stdout));
    return piped.stdout;
  });
  assert.ok(images[0]!.equals(images[1]!) && images[0]!.equals(images[2]!));
  assert.deepEqual(
    json('ls', '-R', join(base, 'archive--zstd.erofs')).map((row: { path: string }) => row.path),
    json('ls', '-R', image).map((row: { path: string }) => row.path),
  );
});

test('what cannot be done is said with a code and leaves nothing behind', () => {
  const output = join(base, 'failed', 'image');
  const cases: readonly [readonly string[], RegExp, number][] = [
    [['mk', join(base, 'absent'), '-o', output], /HOST_NOT_FOUND/, 1],
    [['mk', join(source, 'sub/large'), '-o', output], /TAR_/, 1],
    [['mk', source, '-o', output, '--block-size', '1000'], /EROFS_BAD_OPTION/, 2],
    [['mk', source, '-o', output, '--name', 'longer than sixteen'], /EROFS_BAD_OPTION/, 2],
    [['mk', source, '-o', output, '-zlz4,9'], /EROFS_BAD_OPTION|CLI_USAGE/, 2],
    [['mk', source, '-o', output, '--xattr-prefix', 'user.'], /1 to 255 bytes more/, 2],
    [['mk', source, '-o', output, '--force-uid', '5000000000'], /from 0 to 4294967295/, 2],
    [['mk', source, '-o', output, '--threads', '1000000'], /give 1 to 64/, 2],
    [['dump', image, '--nid', '99999999'], /Cannot use --nid 99999999: no inode begins/, 2],
    [['mk', source, '-o', output, '--time', 'noon'], /CLI_USAGE/, 2],
    [['ls', join(source, 'sub/large')], /EROFS_BAD_SUPERBLOCK/, 1],
    [['cat', image, 'nothing'], /VFS_NOT_FOUND/, 1],
    [['cat', image, 'sub'], /VFS_IS_DIRECTORY/, 1],
  ];
  for (const [args, message, code] of cases) {
    const { status, stderr } = anole(args);
    assert.match(stderr, message);
    assert.equal(status, code, stderr);
  }
  assert.ok(!readdirSync(base).includes('failed'));
});

const noDevice =
  (process.geteuid?.() !== 0 && 'needs root') ||
  (spawnSync('losetup', ['--find'], { stdio: 'ignore' }).status !== 0 && 'has no loop devices');

test('images and archives are read from block devices', { skip: noDevice }, () => {
  const archive = join(base, 'device.tar');
  assert.equal(spawnSync('tar', ['-C', source, '-cf', archive, '.']).status, 0);
  for (const [index, file] of [image, archive].entries()) {
    const attached = spawnSync('losetup', ['--find', '--show', '--read-only', file]);
    assert.equal(attached.status, 0, attached.stderr.toString());
    const device = attached.stdout.toString().trim();
    try {
      const output = join(base, `device-${index}`);
      const made = anole(['mk', device, '-o', output]);
      assert.equal(made.status, 0, made.stderr);
      assert.equal(anole(['diff', source, output, '--ignore', 'mtime']).status, 0);
      if (index === 0) assert.equal(anole(['check', device, '--strict']).status, 0);
    } finally {
      spawnSync('losetup', ['--detach', device]);
    }
  }
});

test('an interrupt while an image is made leaves nothing behind', async () => {
  const output = join(base, 'interrupted');
  mkdirSync(output);
  const child = spawn(
    process.execPath,
    ['-C', 'anole-source', main, 'fs', 'mk', '-', '-o', join(output, 'image')],
    { stdio: ['pipe', 'ignore', 'pipe'] },
  );
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.stdin.write(Buffer.alloc(100_000));
  // The first line of progress: by now the archive is being read.
  await new Promise((resolve) => child.stderr.once('data', resolve));
  assert.equal(readdirSync(output).length, 1);
  child.kill('SIGINT');
  assert.equal(await ended, 130);
  assert.deepEqual(readdirSync(output), []);
});

test('a full disk is said, and nothing is left on it', {
  skip: process.getuid?.() === 0 ? false : 'mounting a small disk needs root',
}, () => {
  const disk = join(base, 'full');
  mkdirSync(disk);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
  assert.equal(mounted.status, 0, mounted.stderr.toString());
  try {
    const { status, stderr } = anole(['mk', source, '-o', join(disk, 'image')]);
    assert.equal(status, 1);
    assert.match(stderr, /HOST_NO_SPACE/);
    // Known before anything is written, where files go in as they are.
    assert.match(
      stderr,
      /Cannot write \d+ bytes of files to .*full\/image: its disk has \d+ bytes free/,
    );
    assert.deepEqual(readdirSync(disk), []);
    // And found on the way, where that depends on what is equal.
    const unequal = join(base, 'unequal');
    mkdirSync(unequal);
    writeFileSync(join(unequal, 'file'), randomBytes(3_000_000));
    const chunks = anole(['mk', unequal, '-o', join(disk, 'image'), '--chunksize', '4096']);
    assert.match(chunks.stderr, /HOST_NO_SPACE/);
    assert.deepEqual(readdirSync(disk), []);
  } finally {
    spawnSync('umount', [disk]);
  }
});

test('a reader that goes away ends the command quietly', () => {
  const command = `"$0" -C anole-source "$1" fs cat "$2" sub/large | head -c 10`;
  const { stdout, stderr } = spawnSync('sh', ['-c', command, process.execPath, main, image]);
  assert.equal(stdout.toString(), 'anole anol');
  assert.equal(stderr.toString(), '');
});
