import assert from 'node:assert/strict';
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

/** That directory made into an image by mkfs.erofs. */
function made(scratch: Scratch, options: readonly string[]): string {
  const image = scratch.at('image');
  run(['mkfs.erofs', ...options, image, sourcePath]);
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
];

for (const options of variants) {
  test(`an image by mkfs.erofs ${options.join(' ')} reads as its source`, {
    skip: noJudge || unprivileged,
  }, async () => {
    using scratch = new Scratch();
    using source = fileSource(made(scratch, options));
    using host = hostTree(sourcePath, { xattrs: true });
    const image = await openErofs(source);
    const ignore: Aspect[] = [];
    if (options.includes('-T')) ignore.push('mtime');
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
