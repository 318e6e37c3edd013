import type { Source } from '@anole/bytes';
import {
  applyLayer,
  applyMembers,
  MemoryNode,
  MemoryTree,
  sliceSource,
  type TarMember,
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
  return index([{ archive }], (tree, from, store) => unpackTar(tree, from, { ...options, store }));
}

/** As {@link indexTar}, of the layers of an OCI image, the lowest first: a device for each. */
export function indexLayers(
  layers: readonly Source[],
  options: TarOptions = {},
): Promise<TarIndex> {
  const archives = layers.map((archive) => ({ archive }));
  return index(archives, (tree, from, store) => applyLayer(tree, from, { ...options, store }));
}

/** An archive whose members are known, as by the index of a compressed layer. */
export interface IndexedArchive {
  readonly members: Iterable<TarMember>;
  /** Its bytes, decompressed. They are read where a file has holes; else only their number counts. */
  readonly archive: Source;
  /** Where in it a file's data lie, by their `dataOffset`. Default: there. */
  placeOf?(dataOffset: number): number;
}

/**
 * As {@link indexLayers}, of layers whose members are known already: nothing is read, so the layers can be far away
 * and compressed, and their devices come to be as they are read.
 *
 * @throws TarError, VfsError
 * @example
 * const archive = openIndexedLayer(layerIndex, blobSource(reader, layer));
 * const { tree, external } = await indexMembers([{ members: layerIndex.members, archive }]);
 */
export function indexMembers(layers: readonly IndexedArchive[]): Promise<TarIndex> {
  return index(layers, async (tree, _, store, layer) => {
    applyMembers(tree, layers[layer]!.members, store);
  });
}

async function index(
  layers: readonly Omit<IndexedArchive, 'members'>[],
  unpack: (
    tree: MemoryTree,
    from: Source,
    store: (member: TarMember) => Source,
    layer: number,
  ) => Promise<void>,
): Promise<TarIndex> {
  const tree = new MemoryTree();
  const places = new WeakMap<Source, { readonly device: number; readonly offset: number }>();
  // What has no bytes needs no device.
  const devices = layers.map(({ archive }) => archive).filter(({ size }) => size > 0);
  for (const [at, layer] of layers.entries()) {
    const { archive } = layer;
    const device = devices.indexOf(archive);
    const store = ({ dataOffset, storedSize }: TarMember) => {
      // What has no bytes has no place, and may lie behind all others.
      const isPlaced = layer.placeOf !== undefined && storedSize > 0;
      const offset = isPlaced ? layer.placeOf!(dataOffset) : layer.placeOf ? 0 : dataOffset;
      const stored = sliceSource(archive, offset, storedSize);
      places.set(stored, { device, offset });
      return stored;
    };
    await unpack(tree, archive, store, at);
  }
  const external: ExternalData = {
    devices: devices.map(({ size }) => ({ size })),
    locate: (node) => (node instanceof MemoryNode ? places.get(node.content) : undefined),
  };
  return { tree, external };
}
