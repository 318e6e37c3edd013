import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { memorySource } from '@anole/bytes';
import { unpackTree } from '@anole/host';
import { MemoryTree, walk } from '@anole/vfs';
import { type ErofsNode, openErofs } from '../src/index.ts';
import { offsetOf } from '../src/reader/inode.ts';
import { exercise, fuzz } from './damage.ts';
import { noErofsUtils, run, Scratch } from './judges.ts';

/** Bytes that compress to about a third, each seed's others. */
function compressible(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) =>
    at % 300 < 200 ? (at * seed) % 9 : Math.imul(at, 0x9e3779b1 * seed) >>> 24,
  );
}

function target(): MemoryTree {
  const tree = new MemoryTree();
  tree.putFile('long', compressible(150_000, 1));
  tree.putFile('again', compressible(60_000, 1));
  tree.putFile('short', compressible(5000, 3));
  tree.putFile('tail', compressible(4196, 5));
  tree.putFile('zeros', new Uint8Array(300_000));
  return tree;
}

/** Bytes at which the inodes in the image begin. */
async function inodePlaces(image: Uint8Array): Promise<number[]> {
  const tree = await openErofs(memorySource(image));
  const places: number[] = [1024];
  for await (const { node } of walk(tree)) {
    places.push(Math.min(image.length - 8, offsetOf(tree.info, (node as ErofsNode).nid)));
  }
  return places;
}

const variants = [
  '-zlz4',
  '-zlz4hc -C65536',
  '-zlz4 -E legacy-compress',
  '-zlz4 -C16384 -E ztailpacking',
  '-zlz4 -E all-fragments,dedupe',
];

for (const options of variants) {
  test(`damaged images by mkfs.erofs ${options} give coded errors only`, {
    skip: noErofsUtils(),
  }, async () => {
    using scratch = new Scratch();
    mkdirSync(scratch.at('source'));
    await unpackTree(target(), scratch.at('source'), { owners: false });
    run(['mkfs.erofs', ...options.split(' '), scratch.at('image'), scratch.at('source')]);
    const image = new Uint8Array(readFileSync(scratch.at('image')));
    assert.ok(exercise(image) >= 6);
    fuzz(image, 600, await inodePlaces(image));
  });
}

/** Images to damage by hand, made by other tools: ANOLE_FUZZ_IMAGES=a.img:b.img */
for (const file of (process.env['ANOLE_FUZZ_IMAGES'] ?? '').split(':').filter(Boolean)) {
  test(`damaged copies of ${file} give coded errors only`, async () => {
    const image = new Uint8Array(readFileSync(file));
    fuzz(image, 600, await inodePlaces(image));
  });
}
