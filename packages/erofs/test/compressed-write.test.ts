import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { AnoleError, memorySource } from '@anole/bytes';
import { hostTree, zlibEncoders } from '@anole/host';
import { describeDifferences, MemoryTree } from '@anole/vfs';
import fc from 'fast-check';
import { arbitraryTree, collect } from '../../vfs/test/trees.ts';
import {
  type CompressionOptions,
  checkErofs,
  type Lane,
  type Lanes,
  laneRanges,
  openErofs,
  type PieceSettings,
  pieceCompressor,
  type Spool,
  type WriteOptions,
  writeErofs,
} from '../src/index.ts';
import { imageOf, Mounted, missing, noErofsUtils, noMount, run, Scratch } from './judges.ts';
import { edgeTree, patterned } from './trees.ts';

/** The edge tree with files that shrink well, a little, in parts, and not at all. */
function tree(): MemoryTree {
  const all = edgeTree();
  const program = readFileSync(process.execPath).subarray(0, 9_000_000);
  const noise = Uint8Array.from(
    { length: 30_000 },
    (_, at) => Math.imul(at, at ^ 0x9e3779b1) >> 13,
  );
  const { mtime } = all.root.stat;
  const put = (name: string, bytes: Uint8Array) => all.putFile(`shrinks/${name}`, bytes, { mtime });
  put('program', program);
  put('code', program.subarray(1_000_000, 1_200_000));
  put('noise', noise);
  put('mixed', Uint8Array.from([...patterned(20_000), ...noise, ...patterned(30_001)]));
  put('zeros', new Uint8Array(3_000_001));
  put('moved', Buffer.concat([noise.subarray(0, 777), program.subarray(700_000, 1_000_000)]));
  put(
    'parts',
    Buffer.concat([
      program.subarray(40_000, 90_000),
      noise,
      program.subarray(1_100_001, 1_250_000),
    ]),
  );
  for (const size of [1, 100, 4095, 4096, 4097, 8191, 8192, 8193, 50_000, 65_536, 69_632]) {
    put(`text-${size}`, program.subarray(5_000_000, 5_000_000 + size));
    put(`again-${size}`, program.subarray(5_000_000, 5_000_000 + size));
    put(`pattern-${size}`, patterned(size));
  }
  return all;
}

const variants: readonly CompressionOptions[] = [
  { compressor: 'lz4' },
  { compressor: 'lz4', tails: 'inline' },
  { compressor: 'lz4', tails: 'fragment' },
  { compressor: 'lz4', pclusterSize: 65_536 },
  { compressor: 'lz4', pclusterSize: 1_048_576, tails: 'inline' },
  { compressor: 'lz4', pclusterSize: 16_384, tails: 'fragment' },
  { compressor: 'lz4hc', level: 4 },
  { compressor: 'lz4', pclusterSize: 16_384, dedupe: true },
  { compressor: 'lz4', dedupe: true, tails: 'inline' },
  { compressor: 'lz4', pclusterSize: 65_536, dedupe: true, tails: 'fragment' },
  { compressor: 'lz4', pclusterSize: 65_536, allFragments: true, tails: 'fragment' },
  { compressor: 'lzma', level: 1 },
  { compressor: 'lzma', pclusterSize: 65_536, tails: 'inline' },
  { compressor: 'lzma', pclusterSize: 16_384, windowSize: 4096, tails: 'fragment' },
  {
    compressor: 'lzma',
    pclusterSize: 32_768,
    level: 106,
    lzmaBits: { literalContext: 0, literalPosition: 3, position: 1 },
    dedupe: true,
  },
  { compressor: 'zstd', pclusterSize: 65_536, encoders: zlibEncoders },
  { compressor: 'deflate', pclusterSize: 65_536, tails: 'inline', encoders: zlibEncoders },
];

function titleOf(options: CompressionOptions): string {
  const { compressor, pclusterSize = 4096, tails = 'plain', dedupe, allFragments } = options;
  const more = `${dedupe ? ', shared' : ''}${allFragments ? ', all of them' : ''}`;
  return `by ${compressor} in units of ${pclusterSize} with tails ${tails}${more}`;
}

for (const compression of variants) {
  const { compressor, tails, dedupe } = compression;
  // Before 1.6, fsck.erofs knows neither fragments nor shared pclusters.
  const judged = compressor.startsWith('lz4') && tails !== 'fragment' && !dedupe;
  test(`the kernel sees the tree that was compressed ${titleOf(compression)}`, {
    skip: noMount() || missing('getfattr'),
  }, async () => {
    const source = tree();
    using scratch = new Scratch();
    const file = scratch.at('image');
    writeFileSync(file, await imageOf(source, { compression }));
    using mounted = new Mounted(scratch, file);
    using seen = hostTree(mounted.path, { xattrs: true });
    assert.equal(await describeDifferences(source, seen), '');
    if (judged && noErofsUtils() === false) run(['fsck.erofs', '--extract', file]);
  });
}

for (const compression of variants.filter(({ compressor }) => compressor.startsWith('lz4'))) {
  test(`what is compressed ${titleOf(compression)} reads back the same`, async () => {
    const source = tree();
    const image = await imageOf(source, { compression });
    assert.ok(image.length < (await imageOf(source)).length * 0.8);
    assert.equal(await describeDifferences(source, await openErofs(memorySource(image))), '');
  });
}

test('what ends in one lcluster and finds no room beside its inode is read by old readers', {
  skip: noErofsUtils(),
}, async () => {
  const all = new MemoryTree();
  const program = readFileSync(process.execPath).subarray(2_000_000, 2_400_000);
  for (let file = 0; file < 250; file++) {
    const xattrs = new Map([['user.note', new Uint8Array(3500).fill(file)]]);
    const start = file * 1000;
    all.putFile(`${file}`, program.subarray(start, start + 66_000 + file * 37), { xattrs });
  }
  const compression = { compressor: 'lz4', pclusterSize: 8192, tails: 'inline' } as const;
  using scratch = new Scratch();
  const file = scratch.at('image');
  writeFileSync(file, await imageOf(all, { compression }));
  run(['fsck.erofs', '--extract', file]);
  const image = await openErofs(memorySource(readFileSync(file)));
  assert.equal(await describeDifferences(all, image), '');
});

test('lz4hc makes images of about the size that mkfs.erofs makes them', {
  skip: noErofsUtils(),
}, async () => {
  const all = new MemoryTree();
  const program = readFileSync(process.execPath).subarray(0, 12_000_000);
  all.putFile('program', program);
  using scratch = new Scratch();
  mkdirSync(scratch.at('source'));
  writeFileSync(scratch.at('source/program'), program);
  for (const pclusterSize of [4096, 65_536]) {
    const theirs = scratch.at(`${pclusterSize}.img`);
    run(['mkfs.erofs', '-zlz4hc,9', `-C${pclusterSize}`, theirs, scratch.at('source')]);
    const image = await imageOf(all, { compression: { compressor: 'lz4hc', pclusterSize } });
    // This program is .6 % larger; whole root file systems are .3 %, or less.
    assert.ok(image.length <= statSync(theirs).size * 1.008, `${image.length} bytes`);
  }
});

test('where ends are gathered, what several files have in common from a pcluster on is stored once', async () => {
  const program = readFileSync(process.execPath).subarray(2_000_000, 2_500_000);
  const compression = { compressor: 'lz4', pclusterSize: 16_384, tails: 'fragment' } as const;
  const treeOf = (...sizes: number[]) => {
    const all = new MemoryTree();
    for (const size of sizes) all.putFile(`${size}`, program.subarray(0, size));
    return all;
  };
  const source = treeOf(500_000, 450_000, 400_000);
  const image = await imageOf(source, { compression });
  const alone = await imageOf(treeOf(500_000), { compression });
  assert.ok(image.length < alone.length * 1.3, `${image.length} and ${alone.length} bytes`);
  assert.equal(await describeDifferences(source, await openErofs(memorySource(image))), '');
  assert.deepEqual((await checkErofs(memorySource(image))).findings, []);
});

test('any tree reads back the same when it is compressed', async () => {
  const options = fc.record({
    blockSize: fc.constantFrom(512, 1024, 4096, 16_384),
    compression: fc.record({
      compressor: fc.constantFrom('lz4' as const, 'lz4hc' as const, 'lzma' as const),
      tails: fc.constantFrom('plain' as const, 'inline' as const, 'fragment' as const),
      pclusterSize: fc.constantFrom(16_384, 65_536),
      dedupe: fc.boolean(),
      allFragments: fc.boolean(),
    }),
  });
  await fc.assert(
    fc.asyncProperty(arbitraryTree, options, async (random, chosen: WriteOptions) => {
      const back = await openErofs(memorySource(await imageOf(random, chosen)));
      assert.equal(await describeDifferences(random, back), '');
    }),
    { seed: 21, numRuns: 100 },
  );
});

/** Lanes in this thread whose results are there later, and not in order. */
function slowLanes(count: number) {
  return (variants: readonly PieceSettings[]): Lanes => {
    let turn = 0;
    const free: Lane[] = [];
    for (let lane = 0; lane < count; lane++) {
      const { ranges, pages } = laneRanges(variants, 1);
      const memory = new WebAssembly.Memory({ initial: pages });
      const compress = pieceCompressor(variants, zlibEncoders, memory);
      const made: Lane = {
        bytes: new Uint8Array(memory.buffer),
        ...ranges[0]!,
        async run(pieces, target) {
          await setTimeout(turn++ % 3 === 0 ? 5 : 0);
          return compress(pieces, target);
        },
        release: () => void free.push(made),
      };
      free.push(made);
    }
    return { acquire: () => free.shift() };
  };
}

test('pieces compressed elsewhere, many at once, give the same image', async () => {
  const source = tree();
  for (const [tails, dedupe] of [
    ['fragment', false],
    ['inline', false],
    ['inline', true],
    ['fragment', true],
  ] as const) {
    const compression = { compressor: 'lz4', tails, dedupe } as const;
    const alone = await imageOf(source, { compression });
    const together = await imageOf(source, {
      compression: { ...compression, lanes: slowLanes(5) },
    });
    assert.ok(Buffer.from(alone).equals(together));
  }
});

test('an image whose compressed data go to their place at once is the same', async () => {
  const source = tree();
  const compression = { compressor: 'lz4hc', level: 4, tails: 'inline' } as const;
  const bytes = new Uint8Array(32 * 1024 * 1024);
  const target: Spool = {
    write: (offset, part) => bytes.set(part, offset),
    read: (offset, length) => bytes.slice(offset, offset + length),
  };
  const image = await writeErofs(source, { compression, target });
  let missing = 0;
  for await (const { offset, bytes: part } of image.parts()) {
    bytes.set(part, offset);
    missing += part.length;
  }
  assert.ok(missing < image.size / 4);
  const alone = await imageOf(source, { compression });
  assert.ok(Buffer.from(alone).equals(bytes.subarray(0, image.size)));
  assert.ok(Buffer.from(alone).equals(await collect(image)));
});

test('a compressor that fails ends the writing', async () => {
  const lanes = (variants: readonly PieceSettings[]): Lanes => {
    const working = slowLanes(3)(variants);
    return {
      acquire() {
        const lane = working.acquire();
        return lane && { ...lane, run: () => Promise.reject(new Error('no more')) };
      },
    };
  };
  const failing = writeErofs(tree(), { compression: { compressor: 'lz4', lanes } });
  await assert.rejects(failing, /no more/);
});

test('pclusters that are equal are stored once', async () => {
  const all = new MemoryTree();
  const program = readFileSync(process.execPath).subarray(0, 3_000_000);
  const changed = Buffer.from(program);
  changed[2_000_000]! ^= 1;
  all.putFile('one', program);
  all.putFile('two', program);
  all.putFile('longer', Buffer.concat([program, patterned(50_000)]));
  all.putFile('changed', changed);
  const compression = { compressor: 'lz4', pclusterSize: 16_384 } as const;
  const plain = await imageOf(all, { compression });
  const image = await imageOf(all, { compression: { ...compression, dedupe: true } });
  assert.ok(image.length < plain.length * 0.4, `${image.length} of ${plain.length}`);
  assert.equal(await describeDifferences(all, await openErofs(memorySource(image))), '');
  const report = await checkErofs(memorySource(image));
  assert.deepEqual(report.findings, []);
  assert.ok(report.blocks.shared > 100);
});

for (const pclusterSize of [4096, 65_536]) {
  test(`what was moved is found in units of ${pclusterSize}, and what was given up is not`, async () => {
    const all = new MemoryTree();
    const program = readFileSync(process.execPath).subarray(0, 3_000_000);
    const before = randomBytes(9000);
    all.putFile('a', program);
    all.putFile('b', Buffer.concat([before, program]));
    const inside = [program.subarray(0, 1_234_567), before, program.subarray(1_234_567)];
    all.putFile('c', Buffer.concat(inside));
    // Stored as it is, so that none of it is to be referred to.
    const noise = randomBytes(200_000);
    all.putFile('d', noise);
    all.putFile('e', Buffer.concat([noise, program.subarray(0, 400_000)]));
    const compression = { compressor: 'lz4hc', pclusterSize, dedupe: true } as const;
    const image = await imageOf(all, { compression });
    const { dedupe, ...apart } = compression;
    const most = (await imageOf(all, { compression: apart })).length * 0.5;
    assert.ok(dedupe && image.length < most, `${image.length} of ${most * 2}`);
    assert.equal(await describeDifferences(all, await openErofs(memorySource(image))), '');
    assert.deepEqual((await checkErofs(memorySource(image))).findings, []);
  });
}

/** The usual lanes; tells how many pieces were compressed. */
function countingLanes(count: { pieces: number }) {
  return (variants: readonly PieceSettings[]): Lanes => {
    const lanes = slowLanes(1)(variants);
    const counted = (lane: Lane): Lane => ({
      ...lane,
      run(pieces, target) {
        count.pieces += pieces.length;
        return lane.run(pieces, target);
      },
    });
    return { acquire: () => map(lanes.acquire(), counted) };
  };
}

function map<T>(value: T | undefined, change: (value: T) => T): T | undefined {
  return value && change(value);
}

const reused: readonly CompressionOptions[] = [
  { compressor: 'lz4', tails: 'inline' },
  { compressor: 'lz4', pclusterSize: 16_384, tails: 'fragment' },
  { compressor: 'lz4', pclusterSize: 16_384, dedupe: true },
  { compressor: 'zstd', pclusterSize: 65_536, encoders: zlibEncoders },
];

for (const compression of reused) {
  test(`what has not changed is taken over, compressed ${titleOf(compression)}`, async () => {
    const source = tree();
    const old = memorySource(await imageOf(source, { compression }));
    const changed = tree();
    changed.putFile('shrinks/code', patterned(70_000));
    changed.putFile('shrinks/new', new Uint8Array(80_000).fill(1));
    const count = { pieces: 0 };
    const all = { pieces: 0 };
    const reuse = { source: old, tree: await openErofs(old) };
    await imageOf(changed, { compression: { ...compression, lanes: countingLanes(all) } });
    const image = await imageOf(changed, {
      compression: { ...compression, reuse, lanes: countingLanes(count) },
    });
    assert.ok(count.pieces < all.pieces * 0.6, `${count.pieces} of ${all.pieces} pieces`);
    assert.equal(await describeDifferences(changed, await openErofs(memorySource(image))), '');
    assert.deepEqual((await checkErofs(memorySource(image))).findings, []);
  });
}

/** By name: with long and short units, by four algorithms, or not at all. */
const ruled: CompressionOptions = {
  compressor: 'lz4',
  tails: 'fragment',
  packedPclusterSize: 65_536,
  encoders: zlibEncoders,
  rules: [
    { matches: (path) => path.endsWith('/program'), by: { compressor: 'lzma', level: 2 } },
    { matches: (path) => path.includes('pattern'), by: undefined },
    { matches: (path) => path.endsWith('/code'), by: { compressor: 'zstd', pclusterSize: 8192 } },
    {
      matches: (path) => path.includes('again'),
      by: { compressor: 'lzma', pclusterSize: 131_072, windowSize: 1 << 20 },
    },
    { matches: (path) => path.includes('text-6'), by: { compressor: 'deflate' } },
  ],
};

test('files are compressed by the rules that are for them, and the kernel reads all', {
  skip: noMount() || missing('getfattr'),
}, async () => {
  const source = tree();
  const image = await imageOf(source, { compression: ruled });
  const back = await openErofs(memorySource(image));
  assert.equal(await describeDifferences(source, back), '');
  assert.deepEqual((await checkErofs(memorySource(image))).findings, []);
  const algorithm = async (name: string) => {
    const node = await (await back.root.lookup('shrinks'))?.lookup(name);
    return (await node?.mapping(0))?.algorithm;
  };
  assert.equal(await algorithm('program'), 'lzma');
  assert.equal(await algorithm('code'), 'zstd');
  assert.equal(await algorithm('pattern-50000'), undefined);
  assert.equal(await algorithm('zeros'), 'lz4');
  using scratch = new Scratch();
  using mounted = new Mounted(scratch, image);
  using seen = hostTree(mounted.path, { xattrs: true });
  assert.equal(await describeDifferences(source, seen), '');
});

const bad: readonly CompressionOptions[] = [
  { compressor: 'lz4', level: 3 },
  { compressor: 'lz4hc', level: 13 },
  { compressor: 'zstd' },
  { compressor: 'lz4', pclusterSize: 5000 },
  { compressor: 'lz4', pclusterSize: 2_097_152 },
  { compressor: 'lzo' as 'lz4' },
  { compressor: 'lzma', level: 10 },
  { compressor: 'lzma', level: 110 },
  { compressor: 'lz4hc', level: 104 },
  { compressor: 'lzma', windowSize: 5000 },
  { compressor: 'lz4', windowSize: 4096 },
  { compressor: 'zstd', lzmaBits: { position: 1 } },
  { compressor: 'lzma', lzmaBits: { position: 5 } },
  { compressor: 'lzma', lzmaBits: { literalPosition: 2 } },
];

for (const compression of bad) {
  test(`${JSON.stringify(compression)} is refused`, async () => {
    await assert.rejects(
      writeErofs(edgeTree(), { compression }),
      (error) => AnoleError.is(error) && error.code === 'EROFS_BAD_OPTION',
    );
  });
}
