import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { memorySource, type Source } from '@anole/bytes';
import { checkErofs, indexMembers, openErofs, TAR_BLOCK, writeErofs } from '@anole/erofs';
import { type ImageReader, type LayerIndex, mediaTypes, openIndexedLayer } from '@anole/oci';
import { indexLayer } from '@anole/oci/node';
import { describeDifferences, MemoryTree, treeFromLayers, writeTar } from '@anole/vfs';

/** Bytes that gzip makes little of. */
const noise = (seed: string, outputLength: number) =>
  createHash('shake256', { outputLength }).update(seed).digest();

async function layer(put: (tree: MemoryTree) => void) {
  const tree = new MemoryTree();
  put(tree);
  const tar = Buffer.concat(await Array.fromAsync(writeTar(tree)));
  const stored = gzipSync(tar);
  const digest = `sha256:${createHash('sha256').update(stored).digest('hex')}`;
  const reader = { name: 'test', blob: () => [stored] } as unknown as ImageReader;
  const descriptor = { mediaType: mediaTypes.layerGzip, digest, size: stored.length };
  const index: LayerIndex = await indexLayer(reader, descriptor, { span: 64 * 1024 });
  return { tar, stored, index };
}

test('an EROFS image over compressed layers is made of their indexes, and reads what is read', async () => {
  const layers = [
    await layer((tree) => {
      tree.putFile('kept', noise('kept', 300_000), { mode: 0o4711 });
      tree.putFile('gone', noise('gone', 1000));
      tree.putFile('large', noise('large', 3_000_000));
    }),
    await layer((tree) => {
      tree.putFile('.wh.gone', new Uint8Array(0));
      tree.putFile('new', noise('new', 5000));
      tree.putLink('linked', 'new');
    }),
  ];
  let fetched = 0;
  const archives = layers.map(({ stored, index }) => {
    const counted: Source = {
      size: stored.length,
      read(offset, length) {
        fetched += length;
        return new Uint8Array(stored.subarray(offset, offset + length));
      },
    };
    return openIndexedLayer(index, counted);
  });
  const { tree, external } = await indexMembers(
    archives.map((archive, at) => ({ archive, members: layers[at]!.index.members })),
  );
  const pieces = await Array.fromAsync(
    await writeErofs(tree, { external, blockSize: TAR_BLOCK }),
    (piece) => piece.slice(),
  );
  const image = memorySource(new Uint8Array(Buffer.concat(pieces)));
  assert.equal(fetched, 0, 'names and places are all that the image takes');

  const back = await openErofs(image, { devices: archives });
  const file = await back.root.lookup('new');
  assert.deepEqual(Buffer.from(await file!.read(0, 5000)), noise('new', 5000));
  assert.ok(fetched < 100_000, `${fetched} bytes were fetched`);
  const judge = await treeFromLayers(layers.map(({ tar }) => memorySource(new Uint8Array(tar))));
  assert.equal(await describeDifferences(judge, back), '');
  assert.deepEqual((await checkErofs(image, { devices: archives })).findings, []);
});
