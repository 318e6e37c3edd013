import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const main = join(import.meta.dirname, '../main.ts');
const base = mkdtempSync(join(tmpdir(), 'anole-mk-options-'));
const source = join(base, 'source');
const at = (name: string) => join(base, name);

function anole(...args: string[]) {
  const argv = ['-C', 'anole-source', main, 'fs', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

/** What a command prints that ends well. */
function done(...args: string[]): string {
  const { status, stdout, stderr } = anole(...args);
  assert.equal(status, 0, stderr);
  return stdout;
}

before(() => {
  mkdirSync(join(source, 'dir'), { recursive: true });
  for (const name of ['a', 'b', 'c', 'd']) {
    writeFileSync(join(source, name), `${name} `.repeat(10_000));
  }
  writeFileSync(join(source, 'dir/text'), 'text');
  linkSync(join(source, 'dir/text'), join(source, 'dir/name'));
});
after(() => rmSync(base, { recursive: true, force: true }));

interface Dumped {
  readonly extents: readonly { readonly offset: number; readonly start: number }[];
}

function startOf(image: string, path: string): number {
  return (JSON.parse(done('dump', image, path, '--json')) as Dumped).extents[0]!.start;
}

test('fs mk takes the options of mkfs.erofs about what inodes hold and where data lie', () => {
  const image = at('many');
  writeFileSync(at('contexts'), '/.* usr_t\n/mnt/a -- a_t\n');
  const inodes = ['--hard-dereference', '--ignore-mtime', '--xattr-prefix', 'security.se'];
  const labels = ['--file-contexts', at('contexts'), '--mount-point', '/mnt'];
  done('mk', source, '-o', image, '-q', '--no-xattrs', '--dsunit', '16', ...inodes, ...labels);
  assert.match(done('check', image, '--strict'), /sound/);
  for (const name of ['a', 'b', 'c', 'd']) assert.equal(startOf(image, name) % 65_536, 0);
  const ignore = ['--ignore', 'links,mtime'];
  const differences = anole('diff', source, image, ...ignore).stdout;
  assert.match(differences, /^\/a: xattr security\.selinux .*0x615f74$/m);
  assert.equal(done('diff', source, image, '--ignore', 'links,mtime,xattr'), '');
  const listed = done('ls', '-l', image, 'dir');
  assert.equal(listed.match(/^-rw\S+ 1 /gm)?.length, 2, listed);
});

test('fs mk --max-extent-bytes bounds what one compressed unit holds', () => {
  done('mk', source, '-o', at('bounded'), '-q', '-zlz4', '--max-extent-bytes', '8192');
  const { extents } = JSON.parse(done('dump', at('bounded'), 'a', '--json')) as Dumped;
  assert.deepEqual(
    extents.slice(0, 3).map(({ offset }) => offset),
    [0, 8192, 16_384],
  );
});

test('fs mk --sort none leaves data in the order of an archive', () => {
  const archive = at('archive.tar');
  const names = ['c', 'a', 'dir/text', 'd', 'b'];
  assert.equal(spawnSync('tar', ['-C', source, '-cf', archive, ...names]).status, 0);
  const order = (...options: string[]) => {
    done('mk', archive, '-o', at('sorted'), '-q', ...options);
    const starts = ['a', 'b', 'c', 'd'].map((name) => ({
      name,
      start: startOf(at('sorted'), name),
    }));
    return starts.sort((a, b) => a.start - b.start).map(({ name }) => name);
  };
  assert.deepEqual(order(), ['a', 'b', 'c', 'd']);
  assert.deepEqual(order('--sort', 'none'), ['c', 'a', 'd', 'b']);
  assert.equal(done('diff', at('sorted'), archive), '');
});

test('fs mk --incremental adds to the image that is there, and takes its compressed data over', () => {
  const more = at('more');
  mkdirSync(join(more, 'dir/new'), { recursive: true });
  writeFileSync(join(more, 'a'), 'another a');
  writeFileSync(join(more, 'dir/new/file'), 'new');
  const both = at('both');
  cpSync(source, both, { recursive: true, preserveTimestamps: true });
  cpSync(more, both, { recursive: true, preserveTimestamps: true });
  const image = at('grown');
  done('mk', source, '-o', image, '-q', '-zlzma');
  done('mk', more, '-o', image, '-q', '-zlzma', '--incremental=data');
  assert.equal(done('diff', both, image, '--ignore', 'links,mtime'), '');
  assert.match(done('check', image, '--strict'), /sound/);
  // A directory that is not there is no image to add to, and stays so.
  const { status, stderr } = anole('mk', more, '-o', at('none'), '--incremental');
  assert.notEqual(status, 0);
  assert.match(stderr, /none/);
  assert.throws(() => readFileSync(at('none')));
});

test('fs mk says which options do not go together', () => {
  for (const [args, says] of [
    [['--mount-point', '/x'], /without --file-contexts/],
    [['--file-contexts', at('missing')], /Cannot read/],
    [['--sort', 'none'], /only archives have an order/],
    [['--sort', 'size'], /give path or none/],
    [['--incremental=rvsp'], /give data/],
    [['--clean=0'], /give data/],
    [['--dsunit', 'x'], /give a multiple/],
    [['--dsunit', '2', '--chunksize', '4096'], /no multiple/],
    [['--max-extent-bytes', '8192'], /without a compressor/],
    [['--xattr-prefix', 'user'], /begin with user/],
  ] as const) {
    const { status, stderr } = anole('mk', source, '-o', at('never'), '-q', ...args);
    assert.notEqual(status, 0, args.join(' '));
    assert.match(stderr, says);
  }
});
