import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const main = join(import.meta.dirname, '../main.ts');
const base = mkdtempSync(join(tmpdir(), 'anole-mk-'));
const source = join(base, 'source');

function make(image: string, ...args: string[]) {
  const argv = ['-C', 'anole-source', main, 'fs', 'mk', source, '-o', join(base, image)];
  const { status, stderr } = spawnSync(process.execPath, [...argv, '--no-xattrs', '-q', ...args]);
  return { status, stderr: stderr.toString() };
}

function made(image: string, ...args: string[]): Buffer {
  const { status, stderr } = make(image, ...args);
  assert.equal(status, 0, stderr);
  return readFileSync(join(base, image));
}

before(() => {
  mkdirSync(source);
  writeFileSync(join(source, 'text'), 'a line like another\n'.repeat(50_000));
  writeFileSync(join(source, 'program'), readFileSync(process.execPath).subarray(0, 12_000_000));
  for (let file = 0; file < 300; file++)
    writeFileSync(join(source, `${file}`), 'x'.repeat(file * 9));
});
after(() => rmSync(base, { recursive: true, force: true }));

test('fs mk -z makes smaller images, the same by however many threads', () => {
  const flat = made('flat');
  const one = made('one', '-zlz4', '--threads', '1');
  assert.ok(one.length < flat.length * 0.8);
  assert.ok(one.equals(made('many', '-z', 'lz4', '--threads', '3')));
  const larger = made('larger', '-zlz4', '-C65536', '-Eztailpacking');
  assert.ok(larger.length < one.length);
  const zstd = made('zstd', '-zzstd,level=3', '-C', '65536', '-Efragments');
  assert.ok(zstd.length < larger.length);
  assert.deepEqual(
    readdirSync(base).filter((name) => name.startsWith('.')),
    [],
  );
});

test('fs mk -E takes ztailpacking beside fragments, in any order: ends of files are fragments', () => {
  const fragments = made('fragments', '-zlz4', '-Efragments,dedupe');
  for (const both of ['ztailpacking,fragments,dedupe', 'fragments,ztailpacking,dedupe']) {
    assert.ok(made('both', '-zlz4', `-E${both}`).equals(fragments), both);
  }
  assert.ok(!made('ends', '-zlz4', '-Eztailpacking,dedupe').equals(fragments));
});

test('fs mk --offset puts an image into a file, whose other bytes stay', () => {
  const offset = 12_345;
  const whole = made('whole');
  // Some of it stood where the image will be, and has to go.
  const disk = Buffer.alloc(offset + whole.length + 100_000, 'disk');
  writeFileSync(join(base, 'disk'), disk);
  whole.copy(disk, offset);
  assert.ok(made('disk', '--offset', `${offset}`).equals(disk));
  const packed = made('packed', '-zlz4', '-Eztailpacking');
  const alone = made('alone', '-zlz4', '-Eztailpacking', '--offset', '4096');
  assert.ok(alone.subarray(4096).equals(packed));
  assert.ok(alone.subarray(0, 4096).every((byte) => byte === 0));
  for (const args of [
    ['--offset', 'x'],
    ['--offset', '1', '--incremental'],
  ]) {
    assert.match(make('disk', ...args).stderr, /Cannot use --offset/);
  }
});

test('fs mk says what is wrong with options of compression', () => {
  for (const [args, says] of [
    [['-zlzo'], /Cannot compress by lzo: give lz4/],
    [['-zlz4hc,fast'], /give level=N/],
    [['-Ededupe'], /without a compressor/],
    [['-zlz4:lzo'], /Cannot compress by lzo/],
    [['-zlzma,level=6,dictsize=5000'], /give a power of two/],
    [['-zlzma,lc=3,lp=2'], /4 at most together/],
    [['-zlzma,lc=x'], /lc=, lp= and pb=BITS/],
    [['-zlz4,pb=0'], /lz4 has none/],
    [['-zlz4', '--compress-hints', join(base, 'no-hints')], /Cannot read/],
    [['-Eplain-xattr-prefixes'], /kernels before 6.18/],
    [['--mkfs-time'], /give -T too/],
    [['-Enothing'], /give ztailpacking, fragments/],
    [['-Eforce-chunk-indexes'], /without --chunksize/],
    [['--chunksize', '5000'], /give a power of two/],
    [['--tar', 'x'], /give f or i/],
    [['-C65536'], /without a compressor/],
    [['-zlz4', '-C5000'], /multiple of 4096/],
    [['-zzstd,99'], /levels 1 to 22/],
    [['-zlz4', '--threads', '0'], /give 1 to 64/],
  ] as const) {
    const { status, stderr } = make('none', ...args);
    assert.notEqual(status, 0);
    assert.match(stderr, says);
  }
  assert.ok(!readdirSync(base).includes('none'));
});

test('fs mk leaves out what is excluded, and gives files to others', () => {
  const tree = (...args: string[]) => {
    const path = join(base, 'chosen');
    made('chosen', ...args);
    const argv = ['-C', 'anole-source', main, 'fs', 'ls', '-lR', '--json', path];
    const { stdout } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    return stdout;
  };
  const most = tree('--exclude-path', '/text', '--exclude-regex', '^[12]\\d\\d$');
  assert.match(most, /"program"|program/);
  assert.doesNotMatch(most, /\btext\b/);
  assert.doesNotMatch(most, /\b199\b"/);
  const moved = tree('--all-root', '--uid-offset', '100000', '--force-gid', '70000');
  assert.match(moved, /"uid": ?100000/);
  assert.match(moved, /"gid": ?70000/);
  assert.doesNotMatch(moved, /"uid": ?0\b/);
  for (const [args, says] of [
    [['--force-uid', 'me'], /give a whole number from 0/],
    [['--exclude-regex', '('], /Cannot use --exclude-regex/],
    [['--exclude-regex', '(a)\\1'], /linear time/],
    [['--uid-offset', '-1', '--all-root'], /attributes are out of range/],
  ] as const) {
    const { status, stderr } = make('none', ...args);
    assert.notEqual(status, 0);
    assert.match(stderr, says);
  }
});

test('fs mk matches expressions in linear time: a name of others holds up nothing', () => {
  const name = `${'a'.repeat(60)}!`;
  const hostile = join(base, 'hostile');
  mkdirSync(hostile);
  writeFileSync(join(hostile, name), 'hostile');
  writeFileSync(join(hostile, 'aaa'), 'left out');
  const hints = join(base, 'slow-hints');
  writeFileSync(hints, '0 ^(a+)+$\n');
  const image = join(base, 'hostile.erofs');
  const options = ['--exclude-regex', '^(a+)+$', '-zlz4', '--compress-hints', hints];
  anole('mk', hostile, '-o', image, ...options);
  assert.equal(anole('ls', image).trim(), name);
});

function anole(...args: string[]): string {
  const argv = ['-C', 'anole-source', main, 'fs', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

test('fs mk --blobdev puts metadata and data into two files, which others read together', () => {
  const blob = join(base, 'blob');
  const image = join(base, 'bootstrap');
  made('bootstrap', '--chunksize', '65536', '--blobdev', blob);
  assert.ok(readFileSync(image).length < 200_000);
  assert.ok(readFileSync(blob).length > 10_000_000);
  const text = readFileSync(join(source, 'text'), 'utf8');
  assert.equal(anole('cat', image, 'text', '--device', blob), text);
  assert.match(anole('check', image, '--device', blob, '--strict'), /sound/);
  anole('mk', image, '--device', blob, '-o', join(base, 'joined'));
  assert.equal(anole('cat', join(base, 'joined'), 'text'), text);
});

test('fs mk refuses files that would take the place of others, or be a part of themselves', () => {
  const here = join(base, 'places');
  mkdirSync(join(here, 'tree'), { recursive: true });
  writeFileSync(join(here, 'tree/file'), 'content');
  writeFileSync(join(here, 'device'), 'what must stay');
  symlinkSync('tree', join(here, 'link'));
  const cases = [
    [['tree', '-o', 'a', '--blobdev', 'a', '--chunksize', '4096'], /for --blobdev and -o/],
    [['tree', '-o', 'a', '--blobdev', 'tree/../a', '--chunksize', '4096'], /for --blobdev and -o/],
    [['tree', '-o', 'a', '--vmdk-desc', './a'], /for --vmdk-desc and -o/],
    [['device', '-o', 'device'], /for -o and the source/],
    [['tree', '--device', 'device', '-o', 'link/../device'], /for -o and --device/],
    [['tree', '-o', 'tree/a'], /lies in the source/],
    [['.', '-o', 'a'], /lies in the source/],
    [['tree', '-o', 'link/a'], /lies in the source/],
  ] as const;
  for (const [args, why] of cases) {
    const argv = ['-C', 'anole-source', main, 'fs', 'mk', '-q', ...args];
    const { status, stderr } = spawnSync(process.execPath, argv, { cwd: here, encoding: 'utf8' });
    assert.equal(status, 2, stderr);
    assert.match(stderr, why);
  }
  assert.deepEqual(readdirSync(here).sort(), ['device', 'link', 'tree']);
  assert.equal(readFileSync(join(here, 'device'), 'utf8'), 'what must stay');
});

test('fs mk --tar i makes an image that refers to the archive', () => {
  const archive = join(base, 'archive.tar');
  const image = join(base, 'index');
  assert.equal(spawnSync('tar', ['-C', source, '-cf', archive, '.']).status, 0);
  anole('mk', archive, '--tar', 'i', '-o', image);
  assert.ok(readFileSync(image).length < 200_000);
  assert.match(anole('check', image, '--device', archive, '--strict'), /sound/);
  const [one, two] = [join(base, 'one-tree'), join(base, 'archive.tar')];
  anole('unpack', image, one, '--device', archive);
  assert.equal(anole('diff', one, two, '--ignore', 'mtime,owner'), '');
});

test('fs mk compresses files by hints', () => {
  const hints = join(base, 'hints');
  writeFileSync(hints, '# bytes, number, expression\n65536 1 ^program$\n0 ^text$\n');
  const image = join(base, 'hinted');
  made('hinted', '-zlz4:lzma,level=1', '--compress-hints', hints, '-Ededupe');
  const extents = (path: string) => JSON.parse(anole('dump', image, path, '--json')).extents;
  assert.equal(extents('program')[0].algorithm, 'lzma');
  assert.equal(extents('text')[0].algorithm, undefined);
  writeFileSync(hints, '65536 2 ^program$\n');
  const { status, stderr } = make('none', '-zlz4:lzma', '--compress-hints', hints);
  assert.notEqual(status, 0);
  assert.match(stderr, /line 1 of .*no compressor of number 2/);
});

test('fs mk --reuse compresses only what has changed, to the same image', () => {
  const options = ['-zlzma,level=3', '-C65536', '-Eztailpacking'];
  const old = made('old', ...options);
  assert.equal(made('new', ...options, '--reuse', join(base, 'old')).length, old.length);
  writeFileSync(join(source, 'text'), 'another line\n'.repeat(40_000));
  const changed = made('changed', ...options, '--reuse', join(base, 'old'));
  assert.ok(!changed.equals(old));
  assert.match(anole('cat', join(base, 'changed'), 'text'), /^(another line\n)+$/);
  assert.equal(anole('diff', source, join(base, 'changed')), '');
  assert.equal(anole('diff', join(base, 'old'), join(base, 'new')), '');
});
