import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ErofsNode, type ErofsTree, openErofs } from '@anole/erofs';
import { fileSource, hostTree } from '@anole/host';
import { hasNative } from '@anole/host/native';
import { type Aspect, describeDifferences } from '@anole/vfs';

const main = join(import.meta.dirname, '../main.ts');
const base = mkdtempSync(join(tmpdir(), 'anole-mk-options-'));
const source = join(base, 'source');
const names = ['a', 'b', 'c', 'd'];
const at = (name: string) => join(base, name);

function anole(...args: string[]) {
  const argv = ['-C', 'anole-source', main, 'fs', ...args];
  const { status, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  return { status, stderr };
}

/** A command that ends well. */
function done(...args: string[]): void {
  const { status, stderr } = anole(...args);
  assert.equal(status, 0, stderr);
}

before(() => {
  mkdirSync(join(source, 'dir'), { recursive: true });
  for (const name of names) {
    writeFileSync(join(source, name), `${name} `.repeat(10_000));
  }
  writeFileSync(join(source, 'dir/text'), 'text');
  linkSync(join(source, 'dir/text'), join(source, 'dir/name'));
});
after(() => rmSync(base, { recursive: true, force: true }));

/** Of an image, files whose data lie where is asked; without a process for each. */
async function withImage<T>(name: string, ask: (tree: ErofsTree) => Promise<T>): Promise<T> {
  using source = fileSource(at(name));
  return await ask(await openErofs(source));
}

async function startOf(tree: ErofsTree, name: string): Promise<number> {
  return (await ((await tree.root.lookup(name)) as ErofsNode).mapping(0)).start;
}

test('fs mk takes the options of mkfs.erofs about what inodes hold and where data lie', async () => {
  const image = at('many');
  writeFileSync(at('contexts'), '/.* usr_t\n/mnt/a -- a_t\n');
  const inodes = ['--hard-dereference', '--ignore-mtime', '--xattr-prefix', 'security.se'];
  const labels = ['--file-contexts', at('contexts'), '--mount-point', '/mnt'];
  done('mk', source, '-o', image, '-q', '--no-xattrs', '--dsunit', '16', ...inodes, ...labels);
  await withImage('many', async (tree) => {
    for (const name of names) assert.equal((await startOf(tree, name)) % 65_536, 0);
    using host = hostTree(source);
    const all = await describeDifferences(host, tree, { ignore: ['links', 'mtime'] });
    assert.match(all, /^\/a: xattr security\.selinux .*0x615f74$/m);
    const ignore: Aspect[] = ['links', 'mtime', 'xattr'];
    assert.equal(await describeDifferences(host, tree, { ignore }), '');
    const linked = await (await tree.root.lookup('dir'))!.lookup('name');
    assert.equal(linked!.stat.nlink, 1);
  });
});

test('fs mk matches contexts in linear time, whatever the names are', () => {
  const tree = at('hostile');
  mkdirSync(tree);
  writeFileSync(join(tree, 'a'.repeat(200)), '');
  writeFileSync(at('contexts'), '/(a+)+b one_t\n/(a|a)*c two_t\n/(a|a)* three_t\n');
  const args = [tree, '-o', at('hostile.erofs'), '-q', '--file-contexts', at('contexts')];
  const argv = ['-C', 'anole-source', main, 'fs', 'mk', '--no-xattrs', ...args];
  const { status, stderr } = spawnSync(process.execPath, argv, { timeout: 60_000 });
  assert.equal(status, 0, stderr.toString());
  writeFileSync(at('contexts'), '/.* usr_t\n/(a)\\1 label\n');
  const refused = anole('mk', ...args);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /line of contexts 2[\s\S]*linear time/);
});

test('fs mk --max-extent-bytes bounds what one compressed unit holds', async () => {
  done('mk', source, '-o', at('bounded'), '-q', '-zlz4', '--max-extent-bytes', '8192');
  await withImage('bounded', async (tree) => {
    const { length } = await ((await tree.root.lookup('a')) as ErofsNode).mapping(0);
    assert.equal(length, 8192);
  });
});

test('fs mk compresses metadata and directories by what is named', async () => {
  for (let index = 0; index < 400; index++) writeFileSync(join(source, `dir/file-${index}`), 'x');
  const image = at('metadata');
  for (const options of [
    ['-m', '4096:zstd,level=9'],
    ['-zlz4:lzma', '-m', '8192:1', '--zD', '--MZ', '--workers', '1'],
    ['-zlz4hc', '-C65536', '-m4096', '-Efragments', '--MZ=id', '--zD=1'],
  ]) {
    done('mk', source, '-o', image, '-q', ...options);
    await withImage('metadata', async (tree) => {
      assert.notEqual(tree.info.metaboxNid, undefined);
      using host = hostTree(source);
      assert.equal(await describeDifferences(host, tree, { ignore: ['xattr'] }), '');
    });
  }
  for (let index = 0; index < 400; index++) rmSync(join(source, `dir/file-${index}`));
});

test('fs mk describes one disk of an image and what is beside it, which QEMU reads', {
  skip: spawnSync('qemu-img', ['--version']).error ? 'qemu-img is not installed' : false,
}, () => {
  const [image, blob, disk, raw] = [at('disk.erofs'), at('disk.blob'), at('disk.vmdk'), at('raw')];
  const beside = ['--chunksize', '4096', '--blobdev', blob, '--fsalignblks', '8'];
  done('mk', source, '-o', image, '-q', ...beside, '-U', 'random', '--vmdk-desc', disk);
  const { status, stderr } = spawnSync('qemu-img', ['convert', '-O', 'raw', disk, raw], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  const both = Buffer.concat([readFileSync(image), readFileSync(blob)]);
  assert.ok(readFileSync(raw).equals(both));
  assert.equal(readFileSync(image).length % (8 * 4096), 0);
});

test('fs mk describes no disk of files that do not fill their sectors, and writes nothing then', () => {
  const [archive, image, disk] = [at('odd.tar'), at('odd.erofs'), at('odd.vmdk')];
  assert.equal(spawnSync('tar', ['-C', source, '-cf', archive, '.']).status, 0);
  const describing = ['-o', image, '-q', '--vmdk-desc', disk];
  const refused = (from: string, ...options: string[]) => {
    const { status, stderr } = anole('mk', from, ...describing, ...options);
    assert.equal(status, 2, stderr);
    assert.match(stderr, /512/);
    for (const path of [image, disk]) assert.equal(existsSync(path), false, path);
  };
  appendFileSync(archive, Buffer.alloc(5));
  refused(archive, '--tar', 'i');
  refused(source, '--offset', '100');
  truncateSync(archive, statSync(archive).size - 5);
  done('mk', archive, ...describing, '--tar', 'i');
  assert.match(readFileSync(disk, 'utf8'), /^RW \d+ FLAT "odd\.tar" 0$/m);
});

test('fs mk stores marks of layers as overlayfs has them, or not at all', async () => {
  const layer = at('layer');
  mkdirSync(layer);
  for (const name of ['.wh.gone', 'here']) writeFileSync(join(layer, name), name);
  const names = async (...options: string[]) => {
    done('mk', layer, '-o', at('marks'), '-q', '-U', 'clear', ...options);
    return await withImage('marks', async (tree) => {
      assert.deepEqual(tree.info.uuid, new Uint8Array(16));
      return (await tree.root.list()).map(({ name, type }) => `${name}: ${type}`);
    });
  };
  assert.deepEqual(await names('--aufs'), ['gone: character', 'here: file']);
  assert.deepEqual(await names('--aufs', '--ovlfs-strip'), ['here: file']);
  assert.deepEqual(await names('--ovlfs-strip=0'), ['.wh.gone: file', 'here: file']);
});

test('fs mk --sort none leaves data in the order of an archive', async () => {
  const archive = at('archive.tar');
  const members = ['c', 'a', 'dir/text', 'd', 'b'];
  assert.equal(spawnSync('tar', ['-C', source, '-cf', archive, ...members]).status, 0);
  const order = async (...options: string[]) => {
    done('mk', archive, '-o', at('sorted'), '-q', ...options);
    return await withImage('sorted', async (tree) => {
      const starts = await Promise.all(names.map((name) => startOf(tree, name)));
      return names.toSorted((a, b) => starts[names.indexOf(a)]! - starts[names.indexOf(b)]!);
    });
  };
  assert.deepEqual(await order('--sort', 'path'), names);
  assert.deepEqual(await order('--sort', 'none'), ['c', 'a', 'd', 'b']);
});

test('fs mk --incremental adds to the image that is there, and takes its compressed data over', async () => {
  const more = at('more');
  mkdirSync(join(more, 'dir/new'), { recursive: true });
  writeFileSync(join(more, 'a'), 'another a');
  writeFileSync(join(more, 'dir/new/file'), 'new');
  const both = at('both');
  cpSync(source, both, { recursive: true, preserveTimestamps: true });
  cpSync(more, both, { recursive: true, preserveTimestamps: true });
  done('mk', source, '-o', at('grown'), '-q', '-zlzma');
  done('mk', more, '-o', at('grown'), '-q', '-zlzma', '--incremental=data');
  await withImage('grown', async (tree) => {
    using host = hostTree(both);
    assert.equal(await describeDifferences(host, tree, { ignore: ['links', 'mtime'] }), '');
  });
  // Where there is no image, none is made.
  const { status, stderr } = anole('mk', more, '-o', at('none'), '--incremental');
  assert.notEqual(status, 0);
  assert.match(stderr, /none/);
  assert.ok(!existsSync(at('none')));
});

test('fs mk says which options do not go together', () => {
  for (const [args, says] of [
    [['--mount-point', '/x'], /without --file-contexts/],
    [['--sort', 'none'], /only archives have an order/],
    [['--incremental=rvsp'], /give data/],
    [['--dsunit', '2', '--chunksize', '4096'], /no multiple/],
    [['--max-extent-bytes', '8192'], /without a compressor/],
    [['--xattr-prefix', 'user'], /begin with user/],
    [['-m', '4096'], /names no compressor of number 0/],
    [['-m', '4096:1', '-zlz4'], /names no compressor of number 1/],
    [['-m', 'x:lz4'], /bytes of a unit/],
    [['-m', '4096:lz4', '-E^48bit'], /compressed metadata need it/],
    [['--zD'], /without a compressor/],
    [['--zD=2', '-zlz4'], /give 0 or 1/],
    [['--MZ=0'], /always lie together/],
  ] as const) {
    const { status, stderr } = anole('mk', source, '-o', at('never'), '-q', ...args);
    assert.notEqual(status, 0, args.join(' '));
    assert.match(stderr, says);
  }
});

test('fs mk keeps holes of a directory as those of an archive', {
  skip: !hasNative() && 'needs koffi',
}, async () => {
  const tree = at('sparse');
  mkdirSync(tree);
  writeFileSync(join(tree, 'file'), Buffer.alloc(100_000, 'data'));
  truncateSync(join(tree, 'file'), 100_000_000);
  done('mk', tree, '-o', at('sparse.erofs'));
  assert.ok(statSync(at('sparse.erofs')).size < 400_000);
  assert.equal(spawnSync('tar', ['-C', tree, '-Scf', at('sparse.tar'), 'file']).status, 0);
  done('mk', at('sparse.tar'), '-o', at('sparse-tar.erofs'));
  assert.equal(statSync(at('sparse-tar.erofs')).size, statSync(at('sparse.erofs')).size);
  done('diff', tree, at('sparse.erofs'));
});
