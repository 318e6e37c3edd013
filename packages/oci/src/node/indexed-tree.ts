import { createHash } from 'node:crypto';
import { MemoryTree, type Tree } from '@anole/vfs';
import type { Image } from '../content.ts';
import { applyIndexedLayer, type LayerIndex, openIndexedLayer } from '../layer-index.ts';
import type { Descriptor } from '../manifest.ts';
import { membersOfImage } from '../toc/estargz.ts';
import { LayerApplier, type LayersOptions } from './layers.ts';
import { openBlob } from './open-blob.ts';

export const sha256 = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

/** Gives what is known of a layer, undefined for one that has to be read whole. */
export type FindIndex = (layer: Descriptor) => Promise<LayerIndex | undefined>;

/**
 * The file system of an image whose layers have indexes: names and attributes are there at once, the
 * bytes of files are fetched when they are read, verified span by span. Layers without an index are
 * unpacked into scratch files as `imageTree` does.
 *
 * The tree is what the indexes say it is: `checkLayerIndex` says whether they speak the truth.
 *
 * @throws OciError, TarError, VfsError
 */
export async function indexedTree(
  image: Image,
  findIndex: FindIndex,
  options: LayersOptions,
): Promise<Tree> {
  await using resources = new AsyncDisposableStack();
  const tree = new MemoryTree();
  const whole = resources.use(new LayerApplier(tree, image, options));
  for (const [at, layer] of image.manifest.layers.entries()) {
    const index = await findIndex(layer);
    if (index === undefined) await whole.apply(layer, image.config.diffIds[at]);
    else {
      const source = openIndexedLayer(index, openBlob(image.reader, layer), { sha256 });
      resources.defer(() => source.close?.());
      const members = membersOfImage(layer, index.members);
      applyIndexedLayer(tree, { ...index, members }, source);
    }
  }
  const kept = resources.move();
  return Object.assign(tree, { close: () => kept.disposeAsync() });
}
