import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { AnoleError, memorySource } from '@anole/bytes';
import { hostTree } from '@anole/host';
import { describeDifferences, MemoryTree, writeTar } from '@anole/vfs';
import fc from 'fast-check';
import { arbitraryTree, collect } from '../../vfs/test/trees.ts';
import {
  checkErofs,
  indexLayers,
  indexTar,
  openErofs,
  type Spool,
  TAR_BLOCK,
  type WriteOptions,
  writeErofs,
} from '../src/index.ts';
import { imageOf, Mounted, missing, noErofsUtils, noMount, run, Scratch } from './judges.ts';
import { edgeTree } from './trees.ts';

/** A device in memory. */
class Device implements Spool {
  #bytes = new Uint8Array(1 << 20);
  size = 0;

  write(offset: number, bytes: Uint8Array): void {
    this.size = Math.max(this.size, offset + bytes.length);
    while (this.#bytes.length < this.size) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, offset);
  }

  read(offset: number, length: number): Uint8Array {
    return this.#bytes.subarray(offset, offset + length);
  }

  get bytes(): Uint8Array {
    return this.#bytes.slice(0, this.size);
  }
}

/** The edge tree with files that share chunks, and one with holes. */
function tree(): MemoryTree {
  const all = edgeTree();
  const program = readFileSync(process.execPath).subarray(0, 3_000_000);
  const { mtime } = all.root.stat;
  all.putFile('chunks/program', program, { mtime });
  all.putFile('chunks/again', program, { mtime });
  all.putFile('chunks/beginning', program.subarray(0, 1_500_000), { mtime });
  all.putFile('chunks/behind', program.subarray(1_048_576), { mtime });
  all.putFile('chunks/zeros', new Uint8Array(3_000_000), { mtime });
  const gap = { size: 9_000_000, extents: [{ offset: 4_000_000, length: 5_000 }] };
  const read = (offset: number, length: number) =>
    Uint8Array.from({ length }, (_, at) =>
      offset + at >= 4_000_000 && offset + at < 4_005_000 ? (offset + at) % 251 : 0,
    );
  all.putFile('chunks/holes', { ...gap, read }, { mtime });
  return all;
}

const variants: readonly [string, WriteOptions, beside: boolean][] = [
  ['chunks of a block', { chunks: { size: 4096 } }, false],
  ['chunks of 64 KiB with long addresses', { chunks: { size: 65_536, indexes: true } }, false],
  ['chunks of 1 MiB', { chunks: {} }, false],
  ['chunks beside compressed files', { chunks: {}, compression: { compressor: 'lz4' } }, false],
  ['chunks of 4 KiB on a device', { chunks: { size: 4096 } }, true],
  ['chunks of 1 MiB on a device', {}, true],
  ['compressed files on a device', { compression: { compressor: 'lz4' } }, true],
  [
    'compressed files with inline tails on a device',
    { compression: { compressor: 'lz4', pclusterSize: 65_536, tails: 'inline' } },
    true,
  ],
  [
    'compressed files with fragments on a device',
    { compression: { compressor: 'lz4hc', pclusterSize: 16_384, tails: 'fragment' } },
    true,
  ],
];

/**
 * Whether fsck.erofs can judge. Up to 1.9.4 it reads compressed data on a device from the image:
 * erofs_map_dev() finds the place on the device, and leaves the device's number 0.
 */
function isForFsck({ compression }: WriteOptions, beside: boolean): boolean {
  return compression === undefined || !beside;
}

for (const [title, options, beside] of variants) {
  async function made() {
    const source = tree();
    const device = new Device();
    const blob = beside ? { blob: { device, tag: 'the data' } } : {};
    const image = await writeErofs(source, { ...options, ...blob });
    assert.equal(image.blobSize, device.size);
    return { source, image: await collect(image), data: device.bytes };
  }

  test(`the kernel sees the tree that was written as ${title}`, {
    skip: noMount() || missing('getfattr'),
  }, async () => {
    const { source, image, data } = await made();
    using scratch = new Scratch();
    const file = scratch.at('data');
    writeFileSync(file, data);
    {
      using mounted = new Mounted(scratch, image, beside ? [file] : []);
      using seen = hostTree(mounted.path, { xattrs: true });
      assert.equal(await describeDifferences(source, seen), '');
    }
    if (!beside) return;
    const whole = scratch.at('whole');
    writeFileSync(whole, image);
    appendFileSync(whole, data);
    using mounted = new Mounted(scratch, whole);
    using seen = hostTree(mounted.path, { xattrs: true });
    assert.equal(await describeDifferences(source, seen), '');
  });

  test(`what is written as ${title} reads back the same and is sound`, async () => {
    const { source, image, data } = await made();
    const devices = beside ? [memorySource(data)] : [];
    const back = await openErofs(memorySource(image), { devices });
    assert.equal(await describeDifferences(source, back), '');
    const report = await checkErofs(memorySource(image), { devices });
    assert.deepEqual(report.findings, []);
    if (!beside) return;
    const whole = memorySource(Buffer.concat([image, data]));
    assert.equal(await describeDifferences(source, await openErofs(whole)), '');
    assert.equal(back.devices[0]?.blocks, data.length / 4096);
    assert.equal(Buffer.from(back.devices[0]!.tag).toString(), 'the data');
  });

  if (!isForFsck(options, beside)) continue;
  test(`fsck.erofs finds nothing wrong with ${title}`, {
    skip: noErofsUtils(),
  }, async () => {
    const { image, data } = await made();
    using scratch = new Scratch();
    writeFileSync(scratch.at('image'), image);
    writeFileSync(scratch.at('data'), data);
    const device = beside ? [`--device=${scratch.at('data')}`] : [];
    run(['fsck.erofs', '--extract', ...device, scratch.at('image')]);
  });
}

test('an image over a tar archive refers to it, and the kernel reads it there', {
  skip: noMount() || missing('getfattr'),
}, async () => {
  const source = tree();
  using scratch = new Scratch();
  const archive = await collect(writeTar(source));
  writeFileSync(scratch.at('archive'), archive);
  const { tree: indexed, external } = await indexTar(memorySource(archive));
  const image = await imageOf(indexed, { external, blockSize: TAR_BLOCK });
  assert.ok(image.length < archive.length / 4);
  using mounted = new Mounted(scratch, image, [scratch.at('archive')]);
  using seen = hostTree(mounted.path, { xattrs: true });
  assert.equal(await describeDifferences(source, seen), '');
  const devices = [memorySource(archive)];
  const back = await openErofs(memorySource(image), { devices });
  assert.equal(await describeDifferences(source, back), '');
  assert.deepEqual((await checkErofs(memorySource(image), { devices })).findings, []);
});

test('an image over a stack of layers obeys whiteouts and refers to each layer', async () => {
  const layer = async (put: (tree: MemoryTree) => void) => {
    const all = new MemoryTree();
    put(all);
    return memorySource(await collect(writeTar(all)));
  };
  const text = (of: string) => new TextEncoder().encode(of);
  const layers = [
    await layer((all) => {
      all.putFile('kept', text('below'));
      all.putFile('gone', text('never seen'));
      all.putFile('changed', text('old'));
    }),
    await layer((all) => {
      all.putFile('.wh.gone', new Uint8Array(0));
      all.putFile('changed', text('new'));
    }),
  ];
  const { tree: stack, external } = await indexLayers(layers);
  const image = await imageOf(stack, { external, blockSize: TAR_BLOCK });
  const back = await openErofs(memorySource(image), { devices: layers });
  assert.equal(await describeDifferences(stack, back), '');
  const names = await back.root.list();
  assert.deepEqual(
    names.map(({ name }) => name),
    ['changed', 'kept'],
  );
  const devices = await Promise.all(
    names.map(async ({ name }) => (await (await back.root.lookup(name))?.mapping(0))?.device),
  );
  assert.deepEqual(devices, [2, 1]);
});

test('equal chunks are stored once, and zeros not at all', async () => {
  const all = new MemoryTree();
  const bytes = readFileSync(process.execPath).subarray(0, 4 << 20);
  all.putFile('one', bytes);
  all.putFile('two', bytes);
  all.putFile('swapped', Buffer.concat([bytes.subarray(2 << 20), bytes.subarray(0, 2 << 20)]));
  all.putFile('zeros', new Uint8Array(50 << 20));
  const device = new Device();
  await writeErofs(all, { blob: { device } });
  assert.equal(device.size, bytes.length);
  assert.ok(Buffer.from(device.bytes).equals(bytes));
});

test('any tree in chunks reads back the same', async () => {
  const options = fc.record({
    blockSize: fc.constantFrom(512, 1024, 4096, 16_384),
    chunks: fc.record({ size: fc.constantFrom(16_384, 65_536), indexes: fc.boolean() }),
  });
  await fc.assert(
    fc.asyncProperty(arbitraryTree, options, fc.boolean(), async (random, chosen, beside) => {
      const device = new Device();
      const image = await imageOf(random, { ...chosen, ...(beside && { blob: { device } }) });
      const devices = beside ? [memorySource(device.bytes)] : [];
      const back = await openErofs(memorySource(image), { devices });
      assert.equal(await describeDifferences(random, back), '');
      assert.deepEqual((await checkErofs(memorySource(image), { devices })).findings, []);
    }),
    { seed: 22, numRuns: 100 },
  );
});

test('chunks of a wrong size and long tags are refused', async () => {
  const device = new Device();
  for (const options of [
    { chunks: { size: 2048 } },
    { chunks: { size: 5000 } },
    { chunks: { size: 1 << 25 } },
    { blob: { device, tag: 'x'.repeat(65) } },
  ]) {
    await assert.rejects(
      imageOf(edgeTree(), options),
      (error) => AnoleError.is(error) && error.code === 'EROFS_BAD_OPTION',
    );
  }
});
