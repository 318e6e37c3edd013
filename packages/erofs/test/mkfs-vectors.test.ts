// Images that mkfs.erofs 1.9.4 made of one tree: what Debian's 1.5 cannot make. They are made again by
//   ANOLE_MAKE_VECTORS=/usr/bin/mkfs.erofs npm test -- mkfs-vectors
// as root, and differ then in nothing but what another version does otherwise.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { memorySource } from '@anole/bytes';
import { hostTree, unpackTree } from '@anole/host';
import { describeDifferences, MemoryTree } from '@anole/vfs';
import { utf8 } from '../../vfs/test/trees.ts';
import { checkErofs, openErofs, type WriteOptions } from '../src/index.ts';
import { imageOf, Mounted, missing, noMount, run, Scratch } from './judges.ts';
import { patterned } from './trees.ts';

const directory = join(import.meta.dirname, 'vectors');
const sha256 = () => createHash('sha256');
const maker: string | undefined = process.env['ANOLE_MAKE_VECTORS'];

const variants: Readonly<Record<string, string>> = {
  'blocks-512': '-b512',
  'blocks-1024-fragments': '-b1024 -zlz4 -C8192 -Efragments,dedupe',
  'blocks-2048-chunks': '-b2048 --chunksize=4096',
  lzma: '-zlzma,level=9,dictsize=65536 -C65536 -Eztailpacking',
  'lzma-bits': '-zlzma,level=109,lc=0,lp=2,pb=0 -C16384 -Eall-fragments,dedupe',
  deflate: '-zdeflate,level=9,dictsize=4096 -C16384 -Eztailpacking',
  libdeflate: '-zlibdeflate,level=12 -C65536 -Efragments,dedupe',
  zstd: '-zzstd,level=19 -C65536 -Eztailpacking',
  'zstd-fragments': '-zzstd,level=1 -C8192 -Efragments,dedupe',
  'lz4-fragments': '-zlz4 -C4096 -Efragments --max-extent-bytes=8192',
  'inode-fragments': '-zlz4hc,12 -C16384 -Eall-fragments,fragdedupe=inode',
  '48bit': '-E48bit',
  '48bit-dots': '-E48bit,dot-omitted',
  '48bit-lz4': '-E48bit -zlz4 -C16384',
  '48bit-zstd': '-E48bit,ztailpacking -zzstd -C16384',
  '48bit-zstd-fragments': '-E48bit,all-fragments,dedupe -zzstd -C65536',
  '48bit-deflate': '-E48bit -zdeflate -C4096 --max-extent-bytes=16384',
  '48bit-chunks': '-E48bit --chunksize=4096',
  metabox: '-m4096 -zlz4',
  'metabox-lzma': '-m4096:lzma -zzstd -C16384 -Efragments',
  'metabox-prefixes': '-m4096 -zlz4 --xattr-prefix=user.many.',
  zone: '--MZ=id',
  'zone-of-inodes': '--MZ=i -m4096 -zlz4 --zD=1',
  'compressed-directories': '--zD=1 -zzstd -C16384 -Eztailpacking',
  prefixes: '--xattr-prefix=user.many. --xattr-prefix=security.se',
  'packed-prefixes': '-zlz4 -Efragments --xattr-prefix=user.many.',
  'plain-prefixes': '-zlz4 -Efragments,plain-xattr-prefixes --xattr-prefix=user.many.',
  digests: '--xattr-inode-digest',
  'packed-digests': '--xattr-inode-digest --xattr-prefix=user.many. -zlz4 -Efragments',
  filter: '-Exattr-name-filter',
  'no-filter': '-E^xattr-name-filter -Enosbcrc',
  'aligned-chunks': '--dsunit=4 --chunksize=16384 -Eforce-chunk-indexes',
  'root-attributes': '--root-xattr-isize=512 --fsalignblks=8',
};

/** Times are whole seconds: images of 48 bits keep no more. */
function vectorTree(): MemoryTree {
  const tree = new MemoryTree();
  const at = (seconds: number) => ({ mtime: { seconds: 1_600_000_000 + seconds, nanoseconds: 0 } });
  const label = utf8('system_u:object_r:usr_t:s0');
  const lines = Array.from({ length: 900 }, (_, line) => `line ${line} of ${line % 7} kinds\n`);
  const text = utf8(lines.join(''));
  tree.putDirectory('', at(0));
  tree.putFile('text', text, at(1));
  tree.putFile('more/text', Buffer.concat([utf8('other\n'), text]), at(2));
  tree.putFile('more/noise', patterned(9000), at(2));
  tree.putFile('more/small', text.subarray(0, 100), at(3));
  tree.putFile('empty', new Uint8Array(0), { ...at(4), uid: 1000, gid: 70_000 });
  tree.putLink('more/link', 'text');
  tree.putSymlink('symlink', 'more/small', at(5));
  tree.putSpecial('device', 'character', { ...at(6), rdev: { major: 5, minor: 300 } });
  tree.putSpecial('fifo', 'fifo', { ...at(6), mode: 0o600 });
  for (let index = 0; index < 40; index++) {
    const many = Array.from({ length: index % 4 }, (_, key): [string, Uint8Array] => [
      `user.many.${key}`,
      utf8(`${index}`),
    ]);
    const xattrs = new Map([['security.selinux', label], ...many]);
    tree.putFile(`names/number-${index}`, text.subarray(0, index), { ...at(index % 3), xattrs });
  }
  for (const name of ['more', 'names']) tree.putDirectory(name, at(9));
  return tree;
}

/** Those of {@link smallTree} that are the same, byte for byte, with these options of ours. */
const equal: readonly (readonly [name: string, options: string, ours: WriteOptions])[] = [
  ['equal', '-T0 -Lequal', { volumeName: 'equal' }],
  ['equal-extended', '-T0 -Eforce-inode-extended -x-1', { inodes: 'extended', xattrs: false }],
  ['equal-48bit', '-T0 -E48bit,dot-omitted', { compactTimes: true, listDots: false }],
];

/** Everything about it fits into the first block. */
function smallTree(): MemoryTree {
  const tree = new MemoryTree();
  const xattrs = new Map([['user.name', utf8('value')]]);
  tree.putFile('file', utf8('some text\n'.repeat(9)), { xattrs, mode: 0o600, uid: 5, gid: 6 });
  tree.putFile('empty', new Uint8Array(0));
  tree.putFile('more/file', utf8('other text'));
  tree.putLink('more/link', 'file');
  tree.putSymlink('more/symlink', '../file');
  tree.putSpecial('device', 'character', { rdev: { major: 5, minor: 300 } });
  tree.putSpecial('fifo', 'fifo');
  return tree;
}

before(async () => {
  if (maker === undefined) return;
  using scratch = new Scratch();
  mkdirSync(scratch.at('source'));
  mkdirSync(directory, { recursive: true });
  await unpackTree(vectorTree(), scratch.at('source'));
  mkdirSync(scratch.at('small'));
  await unpackTree(smallTree(), scratch.at('small'));
  const make = (name: string, options: string, source: string) => {
    const image = scratch.at(name);
    const uuid = '-U00000000-0000-0000-0000-000000000001';
    run([maker, ...options.split(' '), uuid, image, scratch.at(source)]);
    writeFileSync(join(directory, `${name}.gz`), gzipSync(readFileSync(image), { level: 9 }));
  };
  for (const [name, options] of Object.entries(variants)) make(name, options, 'source');
  for (const [name, options] of equal) make(name, options, 'small');
});

for (const [name, options] of Object.entries(variants)) {
  test(`an image by mkfs.erofs 1.9.4 ${options} reads as its source, and is sound`, async () => {
    const bytes = new Uint8Array(gunzipSync(readFileSync(join(directory, `${name}.gz`))));
    const source = memorySource(bytes);
    assert.equal(await describeDifferences(vectorTree(), await openErofs(source)), '');
    const digests = options.includes('digest') ? { sha256 } : {};
    const { errors, findings, warnings } = await checkErofs(source, digests);
    if (options.includes('digest')) assert.equal(warnings, 0);
    assert.equal(errors, 0, findings.map(({ message }) => message).join('\n'));
  });
}

for (const [name, options, ours] of equal) {
  test(`an image of one block by mkfs.erofs 1.9.4 ${options} is ours, byte for byte`, async () => {
    const theirs = gunzipSync(readFileSync(join(directory, `${name}.gz`)));
    const uuid = new Uint8Array(16);
    uuid[15] = 1;
    const time = { seconds: 0, nanoseconds: 0 };
    assert.deepEqual(Buffer.from(await imageOf(smallTree(), { ...ours, uuid, time })), theirs);
  });
}

test('the kernel reads the same of those that it mounts', {
  skip: noMount() || missing('getfattr'),
}, async () => {
  using scratch = new Scratch();
  for (const name of ['lz4-fragments', 'blocks-2048-chunks', 'filter']) {
    const bytes = gunzipSync(readFileSync(join(directory, `${name}.gz`)));
    using mounted = new Mounted(scratch, bytes);
    using seen = hostTree(mounted.path, { xattrs: true });
    assert.equal(await describeDifferences(vectorTree(), seen), '');
  }
});
