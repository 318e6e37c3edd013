import { memorySource, type Source } from '@anole/bytes';
import { openErofs } from '@anole/erofs';
import { type Image, readBlob } from '@anole/oci';
import { openBlob } from '@anole/oci/node';
import type { Tree } from '@anole/vfs';
import { deviceSource } from './layer-map/device-source.ts';
import {
  type ImageMap,
  mappedDevice,
  Room,
  STORED_MAX,
  unpackMap,
  unpackNames,
} from './layer-map/image-map.ts';

/**
 * The file system of an image by its index as EROFS, read without a cache: names at once, of files what is read.
 *
 * @throws OciError, ErofsError
 */
export async function mappedTree(
  { reader, manifest }: Pick<Image, 'reader' | 'manifest'>,
  { names, layers }: ImageMap,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Tree> {
  await using sources = new AsyncDisposableStack();
  const devices: Source[] = [];
  const room = new Room();
  for (const layer of manifest.layers) {
    const mapped = layers[layer.digest]!;
    const { map: described, windows } = mapped;
    room.take(described);
    const map = await unpackMap(await readBlob(reader, described, STORED_MAX, options), room);
    const stored = openBlob(reader, layer);
    const before = windows ? openBlob(reader, windows) : memorySource(new Uint8Array(0));
    const device = mappedDevice(map, mapped, layer.digest, stored, before);
    const source = sources.adopt(deviceSource(device), (each) => each.close?.());
    if (source.size > 0) devices.push(source);
  }
  room.take(names);
  const metadata = await unpackNames(await readBlob(reader, names, STORED_MAX, options), room);
  const tree = await openErofs(memorySource(metadata), { devices });
  const kept = sources.move();
  return Object.assign(tree, { close: () => kept.disposeAsync() });
}
