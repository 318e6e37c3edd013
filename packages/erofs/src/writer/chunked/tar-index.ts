import type { Source } from '@anole/bytes';
import {
  applyLayer,
  MemoryNode,
  MemoryTree,
  sliceSource,
  type TarEntry,
  type TarOptions,
  unpackTar,
} from '@anole/vfs';
import type { ExternalData } from './options.ts';

/** Members of tar archives begin at multiples of this: images that refer to them have such blocks. */
export const TAR_BLOCK = 512;

/** A tree over tar archives, and where the data of its files lie in them. */
export interface TarIndex {
  readonly tree: MemoryTree;
  /** An option of `writeErofs`, beside `blockSize` 512. */
  readonly external: ExternalData;
}

/**
 * The tree of a tar archive, as the device beside an image: files refer to the archive, and nothing
 * of it is copied. Only sparse members, whose data have gaps, go into the image. The archive must be
 * uncompressed, and stay as it is as long as the image is used.
 *
 * @throws TarError, VfsError
 * @example
 * const { tree, external } = await indexTar(source);
 * const image = await writeErofs(tree, { external, blockSize: 512 });
 */
export function indexTar(archive: Source, options: TarOptions = {}): Promise<TarIndex> {
  return index([archive], (tree, from, store) => unpackTar(tree, from, { ...options, store }));
}

/** As {@link indexTar}, of the layers of an OCI image, the lowest first: a device for each. */
export function indexLayers(
  layers: readonly Source[],
  options: TarOptions = {},
): Promise<TarIndex> {
  return index(layers, (tree, from, store) => applyLayer(tree, from, { ...options, store }));
}

async function index(
  archives: readonly Source[],
  unpack: (tree: MemoryTree, from: Source, store: (entry: TarEntry) => Source) => Promise<void>,
): Promise<TarIndex> {
  const tree = new MemoryTree();
  const places = new WeakMap<Source, { readonly device: number; readonly offset: number }>();
  for (const [device, archive] of archives.entries()) {
    await unpack(tree, archive, (entry) => {
      const stored = sliceSource(archive, entry.dataOffset, entry.storedSize);
      places.set(stored, { device, offset: entry.dataOffset });
      return stored;
    });
  }
  const external: ExternalData = {
    devices: archives.map(({ size }) => ({ size })),
    locate: (node) => (node instanceof MemoryNode ? places.get(node.content) : undefined),
  };
  return { tree, external };
}
