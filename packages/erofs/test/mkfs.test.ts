import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { AnoleError } from '@anole/bytes';
import { fileSource, hostTree, unpackTree } from '@anole/host';
import { type Aspect, describeDifferences } from '@anole/vfs';
import { openErofs } from '../src/index.ts';
import { Mounted, missing, noErofsUtils, noMount, run, Scratch } from './judges.ts';
import { edgeTree } from './trees.ts';

const noJudge = noErofsUtils() || missing('getfattr') || missing('setfattr');
const unprivileged = process.getuid?.() === 0 ? false : 'making devices needs root';

/** The edge tree as a directory of this machine. */
const shared = new Scratch();
const sourcePath = shared.at('source');
before(async () => {
  if (noJudge || unprivileged) return;
  mkdirSync(sourcePath);
  await unpackTree(edgeTree(), sourcePath);
});
after(() => shared[Symbol.dispose]());

/** This machine's, or another one that was named: newer ones know more. */
const mkfs = process.env['ANOLE_MKFS_EROFS'] ?? 'mkfs.erofs';

/** That directory made into an image by mkfs.erofs. */
function made(scratch: Scratch, options: readonly string[]): string {
  const image = scratch.at('image');
  run([mkfs, ...options, image, sourcePath]);
  return image;
}

const compact = ['-E', 'force-inode-compact', '-T', '1000000000', '--all-root'];

const variants: readonly (readonly string[])[] = [
  [],
  ['-E', 'noinline_data'],
  ['-E', 'force-inode-extended'],
  compact,
  ['-x', '1'],
  ['-T', '1000000000'],
  ['--chunksize=4096'],
  ['--chunksize=65536', '-E', 'force-chunk-indexes'],
  ['-zlz4'],
  ['-zlz4hc', '-C65536'],
  ['-zlz4', '-E', 'legacy-compress'],
  ['-zlz4', '-C16384', '-E', 'legacy-compress'],
  ['-zlz4hc', '-E', 'ztailpacking'],
  ['-zlz4', '-E', 'fragments'],
  ['-zlz4hc', '-C32768', '-E', 'all-fragments'],
  ['-zlz4', '-E', 'dedupe'],
  ['-zlz4hc', '-C16384', '-E', 'dedupe,all-fragments,ztailpacking'],
  ['-zlz4hc', '-C1048576'],
  ['-zlz4', '--max-extent-bytes=8192'],
  ['-zlz4hc,12', '-C65536', '-E', 'ztailpacking,dedupe'],
  ['-zlz4', '-E', 'legacy-compress,ztailpacking'],
  ['-zlz4', '-E', 'legacy-compress,fragments'],
  ['-zlz4', '--chunksize=4096'],
  ['-E', 'nosbcrc'],
  ['-x', '-1'],
];

/** What no mkfs.erofs before 1.9 makes: for those who name one. */
const newer: readonly (readonly string[])[] = [
  ...['-b512', '-b1024', '-b2048'].map((size) => [size]),
  ['-b1024', '-zlz4', '-C8192', '-E', 'fragments,dedupe'],
  ['-zlzma'],
  ['-zlzma,level=9,dictsize=65536', '-C65536', '-E', 'ztailpacking'],
  ['-zlzma,level=109', '-C1048576', '-E', 'all-fragments,dedupe'],
  ['-zlzma,lc=0,lp=2,pb=0', '-C16384'],
  ['-zdeflate'],
  ['-zdeflate,level=9,dictsize=4096', '-C65536', '-E', 'ztailpacking'],
  ['-zlibdeflate,level=12', '-C65536', '-E', 'fragments,dedupe'],
  ['-zzstd'],
  ['-zzstd,level=22,dictsize=1048576', '-C1048576'],
  ['-zzstd,level=1', '-C65536', '-E', 'fragments,dedupe'],
  ['-zzstd', '-C16384', '-E', 'ztailpacking'],
  ['-E', '48bit'],
  ['-E', '48bit,dot-omitted'],
  ['-E', '48bit', '-zlz4', '-C65536'],
  ['-E', '48bit', '-zzstd', '-C65536'],
  ['-E', '48bit,ztailpacking', '-zzstd', '-C65536'],
  ['-E', '48bit,all-fragments,dedupe', '-zzstd', '-C65536'],
  ['-E', '48bit', '-zdeflate', '-C4096', '--max-extent-bytes=16384'],
  ['-E', '48bit', '--chunksize=4096'],
  ['-E', '48bit,force-inode-extended'],
  ['-m4096', '-zlz4'],
  ['-m16384:zstd', '-zlz4', '-C65536', '-E', '48bit'],
  ['-m4096:lzma', '-zzstd', '-C65536', '-E', 'fragments'],
  ['--MZ=id'],
  ['--MZ=i'],
  ['--MZ=i', '-zlz4', '--zD=1', '-m4096'],
  ['--zD=1', '-zlz4'],
  ['--zD=1', '-zzstd', '-C16384', '-E', 'ztailpacking,dedupe'],
  ['--xattr-prefix=user.many.', '--xattr-prefix=trusted.la'],
  ['--xattr-prefix=user.many.', '-zlz4', '-E', 'fragments'],
  ['--xattr-prefix=user.many.', '-zlz4', '-E', 'fragments,plain-xattr-prefixes'],
  ['--xattr-prefix=user.many.', '-zlz4', '-m4096'],
  ['-E', 'xattr-name-filter'],
  ['-E', '^xattr-name-filter'],
  ['--dsunit=16'],
  ['--dsunit=16', '--chunksize=65536', '-E', 'force-inode-blockmap'],
  ['--hard-dereference'],
  ['--ignore-mtime', '-T', '1000000000', '--mkfs-time'],
  ['--fsalignblks=64'],
  ['--root-xattr-isize=512'],
  ['--workers=2', '-zlz4', '-E', '^fragdedupe,fragments'],
  ['-zlz4', '-E', 'fragdedupe=inode,all-fragments'],
  ['-E', '^inline_data'],
  ['--zfeature-bits=31', '-zlz4', '-C16384'],
];

/** Whether times are cut to seconds. */
function hasSeconds(options: readonly string[]): boolean {
  return options.some((option) => option.startsWith('48bit') || option.startsWith('-m'));
}

const isNewer = spawnSync(mkfs, ['--help'], { encoding: 'utf8' }).stdout?.includes('--MZ');

for (const options of isNewer ? [...variants, ...newer] : variants) {
  test(`an image by mkfs.erofs ${options.join(' ')} reads as its source`, {
    skip: noJudge || unprivileged,
  }, async () => {
    using scratch = new Scratch();
    using source = fileSource(made(scratch, options));
    using host = hostTree(sourcePath, { xattrs: true });
    const image = await openErofs(source);
    const ignore: Aspect[] = [];
    if (options.includes('-T') || hasSeconds(options)) ignore.push('mtime');
    if (options.includes('-1')) ignore.push('xattr');
    if (options.includes('--hard-dereference')) ignore.push('links');
    if (options.includes('--root-xattr-isize=512')) ignore.push('xattr');
    if (options.includes('--all-root')) ignore.push('owner');
    assert.equal(await describeDifferences(host, image, { ignore }), '');
  });
}

test('times of compact inodes are those that the kernel shows', {
  skip: noJudge || unprivileged || noMount(),
}, async () => {
  using scratch = new Scratch();
  const file = made(scratch, compact);
  using source = fileSource(file);
  using mounted = new Mounted(scratch, file);
  using seen = hostTree(mounted.path, { xattrs: true });
  assert.equal(await describeDifferences(seen, await openErofs(source)), '');
});

test('data on another device is read from where it was given', {
  skip: noJudge || unprivileged,
}, async () => {
  using scratch = new Scratch();
  const blob = scratch.at('blob');
  const file = made(scratch, ['--chunksize=4096', `--blobdev=${blob}`]);
  using source = fileSource(file);
  using device = fileSource(blob);
  using host = hostTree(sourcePath, { xattrs: true });
  const image = await openErofs(source, { devices: [device] });
  assert.equal(image.devices.length, 1);
  assert.equal(await describeDifferences(host, image), '');
  const alone = await openErofs(source);
  const node = await alone.root.lookup('blocks');
  assert.throws(
    () => node?.read(0, 10),
    (error) => AnoleError.is(error) && error.code === 'EROFS_NO_DEVICE',
  );
});
