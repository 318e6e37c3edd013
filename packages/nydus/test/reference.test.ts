import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { constants, gzipSync, inflateRawSync } from 'node:zlib';
import { memorySource } from '@anole/bytes';
import { describeDifferences, MemoryTree, type Tree, treeFromLayers, writeTar } from '@anole/vfs';
import { edgeTree } from '../../erofs/test/trees.ts';
import {
  ChunkDictionary,
  checkRafs,
  openRafs,
  type RafsReferenceOptions,
  writeRafsReference,
} from '../src/index.ts';
import { blobFeatures } from '../src/layout/blob.ts';
import { nodeCodecs } from '../src/node/index.ts';
import { readBlobMeta } from '../src/reader/blob-meta.ts';
import { encoders, written } from './written.ts';

/** Bytes that gzip makes little of. */
const noise = (seed: string, outputLength: number) =>
  createHash('shake256', { outputLength }).update(seed).digest();

function largeTree(): MemoryTree {
  const tree = new MemoryTree();
  const text = Buffer.from('what compresses well, '.repeat(100_000));
  for (let at = 0; at < 40; at++) {
    tree.putFile(`small/${at}`, noise(`${at}`, 100 + at * 997), { mode: 0o640 });
  }
  tree.putFile('text', text);
  tree.putFile('noise', noise('noise', 5_000_001));
  tree.putFile('again', noise('noise', 5_000_001));
  tree.putFile('empty', new Uint8Array(0));
  return tree;
}

async function archiveOf(tree: Tree): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeTar(tree), (piece) => piece.slice()));
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

interface Made {
  readonly stored: Uint8Array;
  readonly reference: Awaited<ReturnType<typeof writeRafsReference>>;
  readonly tables: Uint8Array;
}

async function referenceTo(
  stored: Uint8Array,
  options: Partial<RafsReferenceOptions> = {},
): Promise<Made> {
  const pieces: Uint8Array[] = [];
  const sink = { write: (bytes: Uint8Array) => void pieces.push(bytes.slice()) };
  const reference = await writeRafsReference(inPieces(stored, 7919), sink, {
    encoders,
    ...options,
  });
  return { stored, reference, tables: new Uint8Array(Buffer.concat(pieces)) };
}

/** An image whose data lie in the layers. */
async function imageOf(layers: readonly Made[], tree: Tree, chunkSize = 1024 * 1024) {
  const dictionary = new ChunkDictionary();
  for (const { reference } of layers) for (const chunk of reference.chunks) dictionary.put(chunk);
  const { bootstrap, blobs } = await written(tree, { dictionary, digester: 'sha256', chunkSize });
  const all = new Map(blobs);
  for (const { stored, reference, tables } of layers) {
    all.set(reference.id, stored);
    if (reference.blob) all.set(reference.blob.id, tables);
  }
  const image = await openRafs(
    memorySource(bootstrap),
    (id) => {
      const bytes = all.get(id);
      return bytes && memorySource(bytes);
    },
    { codecs: nodeCodecs },
  );
  return { image, bootstrap, own: blobs };
}

/** The stream of a level, as one member or as several that begin anywhere. */
const streams: readonly (readonly [string, (tar: Buffer) => Uint8Array])[] = [
  ['fast', (tar) => gzipSync(tar, { level: 1 })],
  ['small', (tar) => gzipSync(tar, { level: 9 })],
  ['stored', (tar) => gzipSync(tar, { level: 0 })],
  ['by fixed codes', (tar) => gzipSync(tar, { strategy: constants.Z_FIXED })],
  [
    'of members',
    (tar) => {
      const cut = tar.indexOf('small/5');
      return Buffer.concat([gzipSync(tar.subarray(0, cut)), gzipSync(tar.subarray(cut))]);
    },
  ],
];

for (const [title, compress] of streams) {
  test(`an image refers to a layer that is ${title}, and reads back the same`, async () => {
    const tar = await archiveOf(largeTree());
    const made = await referenceTo(compress(tar));
    const { stored, reference } = made;
    assert.equal(reference.id, createHash('sha256').update(stored).digest('hex'));
    const judge = await treeFromLayers([memorySource(new Uint8Array(tar))]);
    const { image, bootstrap, own } = await imageOf([made], judge);
    assert.equal(own.size, 0, 'nothing is stored again');
    assert.equal(image.compressor, 'gzip');
    assert.equal(await describeDifferences(judge, image), '');
    assert.deepEqual((await checkRafs(image, memorySource(bootstrap))).findings, []);
  });

  test(`zlib decodes a layer that is ${title} from every checkpoint, as Nydus does`, async () => {
    const tar = await archiveOf(largeTree());
    const { stored, reference, tables } = await referenceTo(compress(tar));
    const info = { ...reference.chunks[0]!.blob.info, index: 0 };
    const steps = readBlobMeta(memorySource(tables), info, nodeCodecs);
    const meta = steps.next();
    const { chunks, checkpoint } = await settled(steps, meta);
    let last = -1;
    for (let at = 0; at < chunks.count; at++) {
      const { index } = chunks.chunk(at).part!;
      if (index === last) continue;
      last = index;
      const { inOffset, inSize, outOffset, outSize, byte, bits, window } = checkpoint(index);
      const part = stored.subarray(inOffset, inOffset + inSize);
      const met = inflateFrom(part, outSize, { byte, bits, window });
      assert.ok(met.equals(tar.subarray(outOffset, outOffset + outSize)), `checkpoint ${index}`);
    }
    assert.ok(last > 3, `${last} checkpoints`);
  });
}

/** Runs what may wait for a Source. */
async function settled<T>(
  steps: Generator<unknown, T, unknown>,
  first: IteratorResult<unknown, T>,
): Promise<T> {
  let step = first;
  while (!step.done) step = steps.next(await step.value);
  return step.value;
}

/** Blocks without data, as bits in their order: of 10 bits by the fixed codes, of 95 by codes of its own. */
const fixedBlock = '0100000000';
const dynamicBlock = [
  '001 00000 00000 1111',
  // Lengths of the codes of 18, 0 and 1, in the order of RFC 1951, 3.2.7.
  `000 000 100 010 ${'000 '.repeat(13)} 010 000`,
  // 256 symbols without a code, the end of the block, no distance; then the end.
  '0 1111111 0 1101011 11 10 0',
]
  .join('')
  .replaceAll(' ', '');

/** What zlib makes of a raw stream that begins within a byte. It begins with whole ones: blocks come before. */
function inflateFrom(
  stored: Uint8Array,
  size: number,
  { byte, bits, window }: { byte: number; bits: number; window: Uint8Array },
): Buffer {
  const used = (8 - bits) % 8;
  let text = used % 2 === 1 ? dynamicBlock : '';
  while (text.length % 8 !== used) text += fixedBlock;
  for (let bit = 0; bit < bits; bit++) text += (byte >> (used + bit)) & 1;
  const head = (text.match(/.{8}/g) ?? []).map((octet) =>
    Number.parseInt([...octet].reverse().join(''), 2),
  );
  return partly(Buffer.concat([Uint8Array.from(head), stored]), window).subarray(0, size);
}

function partly(stored: Uint8Array, window: Uint8Array): Buffer {
  return inflateRawSync(stored, {
    finishFlush: constants.Z_SYNC_FLUSH,
    ...(window.length > 0 && { dictionary: window }),
  });
}

test('images over layers that share files store nothing twice, and whiteouts hide', async () => {
  const upper = new MemoryTree();
  upper.putFile('.wh.text', new Uint8Array(0));
  upper.putFile('more/noise', noise('noise', 5_000_001));
  upper.putFile('more/own', noise('own', 70_000));
  const tars = [await archiveOf(largeTree()), await archiveOf(upper)];
  const layers = await Promise.all(tars.map((tar) => referenceTo(gzipSync(tar))));
  const judge = await treeFromLayers(tars.map((tar) => memorySource(new Uint8Array(tar))));
  const { image } = await imageOf(layers, judge);
  assert.equal(await describeDifferences(judge, image), '');
  assert.deepEqual(
    image.blobs.map(({ info }) => info.id),
    layers.map(({ reference }) => reference.id),
  );
  const { features, metaSize } = image.blobs[1]!.info;
  assert.equal(features & blobFeatures.separate, blobFeatures.separate);
  assert.equal(metaSize, layers[1]!.tables.length);
});

test('what archives hold otherwise, as files with holes, is stored beside the layer', async () => {
  const tree = edgeTree();
  const tar = await archiveOf(tree);
  const made = await referenceTo(gzipSync(tar), { chunkSize: 4096 });
  const judge = await treeFromLayers([memorySource(new Uint8Array(tar))]);
  const { image } = await imageOf([made], judge, 4096);
  assert.equal(await describeDifferences(judge, image), '');
});

test('a layer in which a chunk goes over two members is refused: Nydus could not read it', async () => {
  const tar = await archiveOf(largeTree());
  const cut = tar.length - 3_000_000;
  const stored = Buffer.concat([gzipSync(tar.subarray(0, cut)), gzipSync(tar.subarray(cut))]);
  await assert.rejects(referenceTo(stored), { code: 'RAFS_CANNOT_STORE' });
});

test('a damaged layer, or one that is cut off, gives no reference', async () => {
  const stored = gzipSync(await archiveOf(largeTree()));
  await assert.rejects(referenceTo(stored.subarray(0, -1)), { code: 'GZIP_DAMAGED' });
  const damaged = Uint8Array.from(stored);
  damaged[stored.length - 5]! ^= 1;
  await assert.rejects(referenceTo(damaged), { code: 'GZIP_DAMAGED' });
});
