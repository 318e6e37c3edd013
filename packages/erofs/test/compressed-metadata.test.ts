import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnoleError, memorySource } from '@anole/bytes';
import { hostTree, zlibEncoders } from '@anole/host';
import { describeDifferences, MemoryTree, type Tree } from '@anole/vfs';
import { checkErofs, openErofs, type WriteOptions } from '../src/index.ts';
import { memorySpool } from '../src/writer/compress/spool.ts';
import { imageOf, Mounted, missing, noMount, Scratch } from './judges.ts';
import { edgeTree } from './trees.ts';

/** From 6.17 on Linux reads them. */
const noKernel = noMount() || missing('getfattr');

/** The edge tree, and directories of several blocks below each other. */
function largeTree(): MemoryTree {
  const tree = edgeTree();
  const mtime = { seconds: 1_700_000_000, nanoseconds: 0 };
  for (let index = 0; index < 3000; index++) {
    tree.putFile(`many/below-${index % 3}/file-number-${index}`, new Uint8Array(0), { mtime });
  }
  return tree;
}

/** An image that our checker and reader, and the kernel, have judged to be that tree. */
async function judged(tree: Tree, options: WriteOptions): Promise<Uint8Array> {
  const image = await imageOf(tree, options);
  const { errors, findings } = await checkErofs(memorySource(image));
  assert.equal(errors, 0, findings.map(({ message }) => message).join('\n'));
  assert.equal(await describeDifferences(tree, await openErofs(memorySource(image))), '');
  using scratch = new Scratch();
  using mounted = new Mounted(scratch, image);
  using seen = hostTree(mounted.path, { xattrs: true });
  assert.equal(await describeDifferences(tree, seen), '');
  return image;
}

const encoders = zlibEncoders;
const metadata = { compressor: 'lz4', pclusterSize: 4096 } as const;
const uncompressed = [{ matches: () => true, by: undefined }];
const variants: readonly [string, WriteOptions][] = [
  ['alone', { compression: { ...metadata, metadata, rules: uncompressed } }],
  [
    'in larger pclusters by LZMA',
    {
      compression: {
        compressor: 'zstd',
        encoders,
        metadata: { compressor: 'lzma', pclusterSize: 16_384 },
      },
    },
  ],
  ['beside files and directories', { compression: { ...metadata, metadata, directories: true } }],
  [
    'beside ends with their inodes',
    { compression: { ...metadata, metadata, directories: true, tails: 'inline' } },
  ],
  [
    'beside fragments and what is stored once',
    { compression: { ...metadata, metadata, tails: 'fragment', dedupe: true } },
  ],
  [
    'beside fragments, with long prefixes in the metabox',
    { xattrPrefixes: ['user.many.'], compression: { ...metadata, metadata, tails: 'fragment' } },
  ],
  [
    'beside chunks',
    { chunks: { size: 4096 }, compression: { ...metadata, metadata, rules: uncompressed } },
  ],
  [
    'in blocks of 1024 bytes',
    { blockSize: 1024, compression: { ...metadata, metadata, directories: true } },
  ],
  [
    'without inline tails and dots',
    { inlineTails: false, listDots: false, compression: { ...metadata, metadata } },
  ],
  ['of shared attributes', { xattrTolerance: 0, compression: { ...metadata, metadata } }],
];

for (const [title, options] of variants) {
  test(`the kernel reads compressed metadata ${title}`, { skip: noKernel }, async () => {
    const image = await judged(largeTree(), options);
    const { info } = await openErofs(memorySource(image));
    assert.notEqual(info.metaboxNid, undefined);
    const { metadata: _, directories: __, ...compression } = options.compression!;
    const plain = await imageOf(largeTree(), { ...options, compactTimes: true, compression });
    assert.ok(image.length < plain.length, `${image.length} bytes, not less than ${plain.length}`);
  });
}

test('the kernel reads compressed directories, that shrink or not', {
  skip: noKernel,
}, async () => {
  const compression = { compressor: 'lz4hc', pclusterSize: 16_384, tails: 'inline' } as const;
  const options = { compression: { ...compression, directories: true } };
  const image = await judged(largeTree(), options);
  assert.ok(image.length < (await imageOf(largeTree(), { compression })).length);
  const odd = new MemoryTree();
  // Names that nothing can be found again in.
  for (let index = 1; index < 200; index++) {
    const letters = Array.from({ length: 60 }, (_, at) =>
      String.fromCharCode(0x80 + ((Math.imul(index * 64 + at, 0x9e3779b1) >>> 13) % 0x700)),
    );
    odd.putFile(letters.join(''), new Uint8Array(0));
  }
  const kept = await judged(odd, options);
  const root = (await openErofs(memorySource(kept))).root;
  assert.equal((await root.list()).length, 199);
});

test('an image of nothing can have compressed metadata', { skip: noKernel }, async () => {
  await judged(new MemoryTree(), { compression: { ...metadata, metadata, directories: true } });
});

test('what compressed metadata cannot go with is refused with the next step', async () => {
  const refused = (options: WriteOptions, says: RegExp) =>
    assert.rejects(
      imageOf(new MemoryTree(), options),
      (error) =>
        AnoleError.is(error) && error.code === 'EROFS_BAD_OPTION' && says.test(error.hint ?? ''),
    );
  const compression = { ...metadata, metadata };
  const blob = { device: memorySpool() };
  await refused({ compression, blob }, /blob/);
  await refused({ compression: { ...metadata, directories: true }, blob }, /blob/);
  await refused({ compression, compactTimes: false }, /need it/);
  await refused(
    { compression: { ...metadata, metadata: { ...metadata, pclusterSize: 100 } } },
    /multiple of 4096/,
  );
});
