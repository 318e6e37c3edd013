import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { memorySource, type Source } from '@anole/bytes';
import { hostDecoders, hostTree, zlibEncoders } from '@anole/host';
import { describeDifferences, findNode, MemoryTree } from '@anole/vfs';
import fc from 'fast-check';
import {
  type CompressionOptions,
  checkErofs,
  type FileRange,
  openErofs,
  writeErofs,
} from '../src/index.ts';
import { imageOf, Mounted, noErofsUtils, noMount, run, Scratch } from './judges.ts';

const program = readFileSync(process.execPath).subarray(1_000_000, 11_000_000);
const path = (name: string) => `lib/${name}`;

function tree(): MemoryTree {
  const all = new MemoryTree();
  all.putFile(path('other'), program.subarray(0, 300_000));
  all.putFile(path('large'), program.subarray(300_000, 9_700_001));
  all.putFile(path('code'), program.subarray(500_000, 900_007));
  all.putFile(path('small'), program.subarray(9_000_000, 9_010_000));
  return all;
}

const wanted: readonly { readonly path: string; readonly ranges: readonly FileRange[] }[] = [
  {
    path: path('code'),
    ranges: [
      [300_000, 300_001],
      [4096, 12_288],
      [13_000, 20_000],
      [400_000, 900_000],
    ],
  },
  {
    path: path('large'),
    // Across the place where files are cut to be compressed.
    ranges: [
      [8_380_000, 8_400_000],
      [0, 100],
      [1_000_000, 1_070_000],
      [9_400_000, 9_400_001],
    ],
  },
  { path: path('small'), ranges: [[0, 10]] },
  { path: 'lib', ranges: [[0, 10]] },
  { path: 'gone', ranges: [[0, 10]] },
];

const variants: readonly CompressionOptions[] = [
  { compressor: 'lz4' },
  { compressor: 'lz4', pclusterSize: 65_536, tails: 'inline' },
  { compressor: 'lz4', pclusterSize: 16_384, tails: 'fragment' },
  { compressor: 'lz4', pclusterSize: 65_536, tails: 'fragment', allFragments: true },
  { compressor: 'lz4', pclusterSize: 16_384, dedupe: true },
  {
    compressor: 'zstd',
    pclusterSize: 65_536,
    tails: 'fragment',
    allFragments: true,
    encoders: zlibEncoders,
  },
];

for (const compression of variants) {
  const { compressor, pclusterSize = 4096, tails = 'plain', dedupe, allFragments } = compression;
  const title = `${compressor}, ${pclusterSize}, ${tails}${dedupe ? ', shared' : ''}${allFragments ? ', all' : ''}`;
  test(`what is wanted of files is stored first, and is read by the kernel (${title})`, {
    skip: noMount(),
  }, async () => {
    const source = tree();
    const image = await imageOf(source, { compression, first: wanted });
    const decoders = hostDecoders;
    const { findings } = await checkErofs(memorySource(image), { decoders });
    assert.deepEqual(findings, []);
    using scratch = new Scratch();
    const file = scratch.at('image');
    writeFileSync(file, image);
    using mounted = new Mounted(scratch, file);
    using seen = hostTree(mounted.path);
    assert.equal(await describeDifferences(source, seen), '');
    if (tails !== 'fragment' && !dedupe && noErofsUtils() === false) {
      run(['fsck.erofs', '--extract', file]);
    }
  });
}

test('what is wanted of files lies together, with little else', async () => {
  for (const compression of variants.filter(({ dedupe }) => !dedupe)) {
    const image = await imageOf(tree(), { compression, first: wanted });
    const reads: FileRange[] = [];
    const plain = memorySource(image);
    const watched: Source = {
      size: plain.size,
      read(offset, length) {
        reads.push([offset, offset + length]);
        return plain.read(offset, length);
      },
    };
    const opened = await openErofs(watched, { decoders: hostDecoders });
    await opened.loadMetadata();
    reads.length = 0;
    let bytes = 0;
    for (const { path, ranges } of wanted.slice(0, 2)) {
      const node = (await findNode(opened, path))!;
      for (const [start, end] of ranges) {
        await node.read(start, end - start);
        bytes += end - start;
      }
    }
    const last = Math.max(...reads.map(([, end]) => end));
    // Blocks are read whole, ranges near each other are one.
    assert.ok(last < 4096 + bytes + 16 * 8192, `${last} of ${image.length} for ${bytes}`);
  }
});

test('files whose parts are wanted first read back the same, whatever the parts are', async () => {
  const part = fc.tuple(fc.nat(420_000), fc.nat(50_000));
  const compression = { compressor: 'lz4', pclusterSize: 16_384, tails: 'fragment' } as const;
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 20 }), async (parts) => {
      const ranges = parts.map(([start, length]): FileRange => [start, start + length]);
      const source = new MemoryTree();
      source.putFile('code', program.subarray(0, 400_007));
      const first = [{ path: 'code', ranges }];
      const image = await imageOf(source, { compression, first });
      assert.equal(await describeDifferences(source, await openErofs(memorySource(image))), '');
    }),
    { numRuns: 40, seed: 7 },
  );
});

test('an image whose files have parts that are wanted first is the same each time', async () => {
  const options = { compression: variants[3]!, first: wanted };
  const one = await writeErofs(tree(), options);
  const parts = await Array.fromAsync(one, (part) => part.slice());
  assert.ok(Buffer.concat(parts).equals(Buffer.from(await imageOf(tree(), options))));
});
