import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { memorySource } from '@anole/bytes';
import { describeDifferences, MemoryTree, overlay, type Tree, walk } from '@anole/vfs';
import fc from 'fast-check';
import { edgeTree, patterned } from '../../erofs/test/trees.ts';
import { arbitraryTree, utf8 } from '../../vfs/test/trees.ts';
import {
  ChunkDictionary,
  checkRafs,
  compactRafs,
  generateDictionary,
  measureShare,
  mergeRafs,
  openRafs,
  type RafsImage,
} from '../src/index.ts';
import { nodeCodecs } from '../src/node/index.ts';
import { encoders, opened, type Written, written } from './written.ts';

const chunkSize = 65536;

function treeOf(files: Readonly<Record<string, Uint8Array>>): MemoryTree {
  const tree = new MemoryTree();
  for (const [path, content] of Object.entries(files)) tree.putFile(path, content);
  return tree;
}

/** Bytes unlike those of other seeds, in no chunk the same. */
function bytes(seed: number, size: number): Uint8Array {
  const own = new Uint8Array(size);
  for (let at = 0, state = seed + 1; at < size; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    own[at] = state >>> 16;
  }
  return own;
}

/** Without its blobs. */
const bare = ({ bootstrap }: Written): Promise<RafsImage> => opened(bootstrap);

async function expectSound(image: RafsImage, bootstrap: Uint8Array): Promise<void> {
  assert.deepEqual((await checkRafs(image, memorySource(bootstrap))).findings, []);
}

/** Three versions: most of each is in the one before. */
async function versions(): Promise<{ trees: MemoryTree[]; images: Written[] }> {
  const files: Record<string, Uint8Array> = {};
  for (let at = 0; at < 8; at++) files[`lib/${at}`] = bytes(at, 100_000 + at * 5000);
  const trees = [0, 1, 2].map((version) =>
    treeOf({
      ...files,
      [`lib/${version}`]: bytes(100 + version, 90_000),
      own: bytes(200, version),
    }),
  );
  const images: Written[] = [];
  for (const tree of trees) images.push(await written(tree, { chunkSize }));
  return { trees, images };
}

test('images are merged by their bootstraps alone, and read the same with their blobs', async () => {
  const lower = await written(edgeTree(), { chunkSize, batchSize: 4096 });
  const upper = await written(treeOf({ 'usr/new': patterned(200_000) }), { chunkSize });
  const layers = [{ image: await bare(lower) }, { image: await bare(upper) }];
  const { bootstrap } = await mergeRafs(layers);
  const near = await mergeRafs([
    { image: await opened(lower.bootstrap, lower.blobs) },
    { image: await opened(upper.bootstrap, upper.blobs) },
  ]);
  assert.deepEqual(bootstrap, near.bootstrap);
  const image = await opened(bootstrap, lower.blobs, upper.blobs);
  const both = overlay([edgeTree(), treeOf({ 'usr/new': patterned(200_000) })]);
  assert.equal(await describeDifferences(both, image), '');
  await expectSound(image, bootstrap);
});

test('what a merge finds in a dictionary is taken from its blobs', async () => {
  const { trees, images } = await versions();
  const [first, second] = images;
  const dictionary = new ChunkDictionary();
  await dictionary.add(await bare(first!));
  const { bootstrap, blobs } = await mergeRafs([{ image: await bare(second!) }], { dictionary });
  assert.deepEqual(
    blobs.map(({ id }) => id).sort(),
    [...first!.blobs.keys(), ...second!.blobs.keys()].sort(),
  );
  const image = await opened(bootstrap, first!.blobs, second!.blobs);
  assert.equal(await describeDifferences(trees[1]!, image), '');
  await expectSound(image, bootstrap);
  const share = await measureShare(image, [await bare(first!)]);
  // Of the file that the first version had replaced, of the one that this one has, and one more.
  assert.equal(share.own.chunks, 5);
  assert.equal(share.own.chunks + share.shared.chunks, share.chunks);
  // What is equal in all of it needs no blob of its own.
  const all = new ChunkDictionary();
  await all.add(await bare(first!));
  const copy = await written(trees[0]!, { chunkSize, compressor: 'none' });
  const merged = await mergeRafs([{ image: await bare(copy) }], { dictionary: all });
  assert.deepEqual(
    merged.blobs.map(({ id }) => id),
    [...first!.blobs.keys()],
  );
});

test('dictionaries that lead to the same blob are one entry in the table of an image', async () => {
  const shared = await written(treeOf({ a: bytes(1, 70_000), b: bytes(2, 70_000) }), { chunkSize });
  const base = new ChunkDictionary();
  await base.add(await bare(shared));
  const left = await written(treeOf({ a: bytes(1, 70_000) }), { chunkSize, dictionary: base });
  const right = await written(treeOf({ b: bytes(2, 70_000) }), { chunkSize, dictionary: base });
  const dictionary = new ChunkDictionary();
  await dictionary.add(await bare(left));
  await dictionary.add(await bare(right));
  assert.equal(dictionary.size, 4);
  const tree = treeOf({ x: bytes(1, 70_000), y: bytes(2, 70_000) });
  const { bootstrap, blobs } = await written(tree, { chunkSize, dictionary });
  assert.equal(blobs.size, 0);
  const image = await opened(bootstrap, shared.blobs);
  assert.equal(image.blobs.length, 1);
  assert.equal(await describeDifferences(tree, image), '');
});

test('a dictionary of several images has what they have in common, as an image', async () => {
  const { trees, images } = await versions();
  const layers = await Promise.all(images.map(async (image) => ({ image: await bare(image) })));
  const made = await generateDictionary(layers);
  assert.deepEqual(made, await generateDictionary(layers));
  const dictionary = await opened(made.bootstrap, ...images.map(({ blobs }) => blobs));
  await expectSound(dictionary, made.bootstrap);
  // Versions 0, 1 and 2 replace one file each: the other two have it. The last five files are in all.
  const counts = new Map<string, number>();
  for (const { image } of layers) {
    for (const key of await keysOf(image)) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const common = [...counts].filter(([, count]) => count > 1).map(([key]) => key);
  assert.ok(common.length >= 16 && common.length < counts.size);
  assert.deepEqual([...(await keysOf(dictionary))].sort(), common.sort());
  assert.equal(made.chunks, common.length);
  let size = 0;
  for await (const { node } of walk(dictionary)) {
    if (node.stat.type === 'file') size += node.stat.size;
  }
  assert.equal(made.size, size);
  const every = await generateDictionary(layers, { minImages: 3 });
  assert.ok(every.chunks < made.chunks);

  // With a blob of its own, it is all that a new version needs but for what is new.
  const pieces: Uint8Array[] = [];
  const sink = { write: (piece: Uint8Array) => void pieces.push(piece.slice()) };
  const compact = await compactRafs(dictionary, sink, { encoders, minUsed: 1.01 });
  const own = new Map([[compact.blob!.id, Uint8Array.from(Buffer.concat(pieces))]]);
  const known = new ChunkDictionary();
  await known.add(await opened(compact.bootstrap));
  const tree = trees[2]!;
  tree.putFile('new', utf8('new'));
  const next = await written(tree, { chunkSize, dictionary: known });
  const image = await opened(next.bootstrap, own, next.blobs);
  assert.equal(image.blobs.length, 2);
  assert.equal(await describeDifferences(tree, image), '');
  await expectSound(image, next.bootstrap);
});

async function keysOf(image: RafsImage): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  for (const blob of image.blobs) {
    const table = await blob.recorded();
    for (let at = 0; at < table.count; at++) {
      const { index, size } = table.chunk(at);
      keys.add(`${Buffer.from((await blob.digest(index))!).toString('hex')} ${size}`);
    }
  }
  return keys;
}

test('blobs of a dictionary are not compacted, and what they have is not moved', async () => {
  const { trees, images } = await versions();
  const [first, second] = images;
  const dictionary = new ChunkDictionary();
  await dictionary.add(await bare(first!));
  const pieces: Uint8Array[] = [];
  const sink = { write: (piece: Uint8Array) => void pieces.push(piece.slice()) };
  const image = await opened(second!.bootstrap, second!.blobs);
  const made = await compactRafs(image, sink, { encoders, minUsed: 1.01, dictionary });
  assert.equal(made.blob!.chunks, 5);
  const blob = new Map([[made.blob!.id, Uint8Array.from(Buffer.concat(pieces))]]);
  const compact = await opened(made.bootstrap, first!.blobs, blob);
  assert.equal(await describeDifferences(trees[1]!, compact), '');
  await expectSound(compact, made.bootstrap);
  const again = await compactRafs(await opened(first!.bootstrap, first!.blobs), sink, {
    ...{ encoders, minUsed: 1.01, dictionary },
  });
  assert.equal(again.blob, undefined);
  assert.deepEqual(
    again.blobs.map(({ id }) => id),
    [...first!.blobs.keys()],
  );
});

test('an image over a parent is both, and stores what the parent has not', async () => {
  const base = edgeTree();
  const parent = await written(base, { chunkSize });
  const changes = treeOf({ 'usr/.wh.bin': utf8(''), moved: patterned(100_000) });
  changes.putFile('new/file', bytes(5, 80_000));
  changes.putFile('new/.wh..wh..opq', utf8(''));
  const options = { chunkSize, parent: { image: await bare(parent) } };
  const child = await written(changes, options);
  assert.deepEqual(child, await written(changes, options));
  const image = await opened(child.bootstrap, parent.blobs, child.blobs);
  const both = overlay([base, changes], { whiteouts: 'oci' });
  assert.equal(await describeDifferences(both, image), '');
  await expectSound(image, child.bootstrap);
  const own = image.blobs.find(({ info }) => child.blobs.has(info.id))!;
  assert.ok(own.info.chunkCount >= 2 && own.info.chunkCount <= 4, `${own.info.chunkCount}`);
  // One that holds its bootstrap is called by its name.
  const inlined = await written(changes, { ...options, inlineBootstrap: true });
  assert.equal(inlined.blobs.size, 1);
});

test('any tree over any other reads back as both', async () => {
  const kinds = fc.constantFrom('none' as const, 'oci' as const, 'overlayfs' as const);
  await fc.assert(
    fc.asyncProperty(arbitraryTree, arbitraryTree, kinds, async (below, above, whiteouts) => {
      const parent = await written(below, { chunkSize: 4096, batchSize: 4096 });
      const image = { parent: { image: await bare(parent) }, whiteouts };
      const child = await written(above, { chunkSize: 4096, ...image });
      const both: Tree = overlay([below, above], { whiteouts });
      const back = await opened(child.bootstrap, parent.blobs, child.blobs);
      assert.equal(await describeDifferences(both, back), '');
    }),
    { seed: 61, numRuns: 60 },
  );
});

test('images of nydus-image are parents, layers and dictionaries', async () => {
  const vectors = join(import.meta.dirname, 'vectors');
  const vector = (name: string) => new Uint8Array(readFileSync(join(vectors, name)));
  const blobs = (id: string) => memorySource(vector(`blobs/${id}`));
  const theirs = await openRafs(memorySource(vector('v6.boot')), blobs, { codecs: nodeCodecs });
  const file = (await theirs.root.lookup('lib.rs'))!;
  const tree = treeOf({ 'again.rs': await file.read(0, file.stat.size) });
  const like = { chunkSize: theirs.chunkSize, digester: theirs.digester };
  const child = await written(tree, { ...like, parent: { image: theirs } });
  assert.equal(child.blobs.size, 0, 'nothing is new');
  const open = (bootstrap: Uint8Array) =>
    openRafs(memorySource(bootstrap), blobs, { codecs: nodeCodecs });
  const both = overlay([theirs, tree], { whiteouts: 'oci' });
  assert.equal(await describeDifferences(both, await open(child.bootstrap)), '');
  const { bootstrap, chunks } = await generateDictionary([{ image: theirs }]);
  await expectSound(await open(bootstrap), bootstrap);
  const dictionary = new ChunkDictionary();
  await dictionary.add(await open(bootstrap));
  assert.equal(dictionary.size, chunks);
  assert.equal((await written(tree, { ...like, dictionary })).blobs.size, 0);
});

test('images that cannot refer to each other are refused', async () => {
  const tree = treeOf({ file: bytes(1, 1000) });
  const one = await bare(await written(tree, { chunkSize }));
  const sha = await bare(await written(tree, { chunkSize, digester: 'sha256' }));
  const large = await bare(await written(tree, { chunkSize: 2 * chunkSize }));
  const code = 'RAFS_BAD_OPTION';
  const dictionary = new ChunkDictionary();
  await dictionary.add(one);
  for (const other of [sha, large]) {
    await assert.rejects(new ChunkDictionary(dictionary).add(other), { code });
    await assert.rejects(mergeRafs([{ image: one }, { image: other }]), { code });
    await assert.rejects(mergeRafs([{ image: other }], { dictionary }), { code });
    await assert.rejects(generateDictionary([{ image: one }, { image: other }]), { code });
    const sink = { write() {} };
    await assert.rejects(compactRafs(other, sink, { encoders, dictionary }), { code });
    await assert.rejects(written(tree, { chunkSize, parent: { image: other } }), { code });
  }
  await assert.rejects(written(tree, { chunkSize, dictionary, digester: 'sha256' }), { code });
  const inlined = await written(tree, { chunkSize, inlineBootstrap: true });
  const nameless = await bare(inlined);
  await assert.rejects(new ChunkDictionary().add(nameless), { code });
});
