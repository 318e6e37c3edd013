import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { AnoleError } from '@anole/bytes';
import { fileSource, hostTree, unpackTree } from '@anole/host';
import { describeDifferences } from '@anole/vfs';
import { type ErofsTree, openErofs } from '../src/index.ts';
import { Mounted, missing, noErofsUtils, noMount, run, Scratch } from './judges.ts';
import { edgeTree } from './trees.ts';

const noJudge = noErofsUtils() || missing('getfattr') || missing('setfattr');
const unprivileged = process.getuid?.() === 0 ? false : 'making devices needs root';

/** The edge tree on this machine, made into an image by mkfs.erofs. */
async function made(scratch: Scratch, options: readonly string[]): Promise<string> {
  const source = scratch.at('source');
  mkdirSync(source);
  await unpackTree(edgeTree(), source);
  const image = scratch.at('image');
  run(['mkfs.erofs', ...options, image, source]);
  return image;
}

const variants: readonly (readonly string[])[] = [
  [],
  ['-E', 'noinline_data'],
  ['-E', 'force-inode-extended'],
  ['-E', 'force-inode-compact'],
  ['-x', '1'],
  ['-T', '1000000000'],
  ['--chunksize=4096'],
  ['--chunksize=65536', '-E', 'force-chunk-indexes'],
];

for (const options of variants) {
  test(`an image by mkfs.erofs ${options.join(' ')} reads as its source`, {
    skip: noJudge || unprivileged,
  }, async () => {
    using scratch = new Scratch();
    using source = fileSource(await made(scratch, options));
    using host = hostTree(scratch.at('source'), { xattrs: true });
    const image = await openErofs(source);
    const timed = !options.includes('force-inode-compact') && !options.includes('-T');
    const ignore = timed ? [] : (['mtime'] as const);
    assert.equal(await describeDifferences(host, image, { ignore }), '');
  });
}

test('times of compact inodes are those that the kernel shows', {
  skip: noJudge || unprivileged || noMount(),
}, async () => {
  using scratch = new Scratch();
  const file = await made(scratch, ['-E', 'force-inode-compact', '-T', '1000000000']);
  using source = fileSource(file);
  using mounted = new Mounted(scratch, file);
  using seen = hostTree(mounted.path, { xattrs: true });
  assert.equal(await describeDifferences(seen, await openErofs(source)), '');
});

test('of an image with compressed files all but those can be read', {
  skip: noJudge || unprivileged,
}, async () => {
  using scratch = new Scratch();
  using source = fileSource(await made(scratch, ['-zlz4', '-E', 'noinline_data']));
  const image: ErofsTree = await openErofs(source);
  const blocks = await image.root.lookup('blocks');
  assert.throws(
    () => blocks?.read(0, 10),
    (error) => AnoleError.is(error) && error.code === 'EROFS_COMPRESSED',
  );
  using host = hostTree(scratch.at('source'), { xattrs: true });
  assert.equal(await describeDifferences(host, image, { ignore: ['content'] }), '');
});

test('data on another device is read from where it was given', {
  skip: noJudge || unprivileged,
}, async () => {
  using scratch = new Scratch();
  const blob = scratch.at('blob');
  const file = await made(scratch, ['--chunksize=4096', `--blobdev=${blob}`]);
  using source = fileSource(file);
  using device = fileSource(blob);
  using host = hostTree(scratch.at('source'), { xattrs: true });
  const image = await openErofs(source, { devices: [device] });
  assert.equal(await describeDifferences(host, image), '');
  const alone = await openErofs(source);
  const node = await alone.root.lookup('blocks');
  assert.throws(
    () => node?.read(0, 10),
    (error) => AnoleError.is(error) && error.code === 'EROFS_NO_DEVICE',
  );
});
