import { type CallOptions, memorySource } from '@anole/bytes';
import { type Descriptor, hintsOf, OciError, verifyDigest } from '@anole/oci';
import type { CachedBlob } from '../cache/blob.ts';
import { near } from '../cache/ranges.ts';
import {
  type MappedLayer,
  mappedDevice,
  Room,
  unpackMap,
  unpackNames,
} from '../layer-map/image-map.ts';
import type { BlobPool } from './blob-pool.ts';
import type { ImageBlobs, OnDemandImage, OnDemandReference } from './image.ts';
import { imageOfDevices } from './image-of-devices.ts';
import { BLOCK } from './layer-layout.ts';
import { rawBlob } from './near-blobs.ts';

/** Where an image is opened. */
interface Opening {
  readonly from: ImageBlobs;
  readonly pool: BlobPool;
  /** Given up with the image, or where it cannot be opened. */
  readonly resources: AsyncDisposableStack;
  readonly call: CallOptions;
  /** For names and maps. */
  readonly room: Room;
}

/**
 * Opens an image by its index as EROFS: nothing is made here, names are fetched and each layer is a device, whose parts
 * are decoded as its map says.
 *
 * @throws OciError `OCI_BAD_INDEX`, `OCI_WRONG_CONTENT`, `OCI_TOO_LARGE`, `OCI_UNSUPPORTED`; ErofsError; HostError
 */
export async function openMappedImage(
  { layers, map }: OnDemandReference,
  from: ImageBlobs,
  pool: BlobPool,
  call: CallOptions = {},
): Promise<OnDemandImage> {
  await using resources = new AsyncDisposableStack();
  const opening = { from, pool, resources, call, room: new Room() };
  const { names, layers: mapped } = map!;
  const opened = await Promise.allSettled([
    readKept(names, unpackNames, opening),
    ...layers.map((layer) => openLayer(layer, mapped[layer.digest]!, opening)),
  ]);
  // Only when all have ended: what one has read wrongly must be forgotten before it is closed.
  const [metadata, ...devices] = opened.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  }) as [Uint8Array, ...CachedBlob[]];
  const withData = devices.filter(({ size }) => size > 0);
  const image = await imageOfDevices(metadata, withData, pool, resources.move());
  const isSame = image.tree.devices.every(
    ({ blocks }, at) => blocks * BLOCK === withData[at]?.size,
  );
  if (isSame && image.tree.devices.length === withData.length) return image;
  await image.close();
  throw new OciError(
    'OCI_BAD_INDEX',
    'Cannot use the index of an image: its names are not of the layers that it has maps of',
  );
}

async function openLayer(
  layer: Descriptor,
  mapped: MappedLayer,
  opening: Opening,
): Promise<CachedBlob> {
  const { from, pool, resources } = opening;
  const { map: described, windows } = mapped;
  const map = await readKept(described, unpackMap, opening);
  const before = windows ? from.source(windows) : memorySource(new Uint8Array(0));
  const device = mappedDevice(map, mapped, layer.digest, from.source(layer), before);
  const blob = await pool.open({ ...device, distrust: () => from.distrust?.() });
  resources.defer(() => pool.release(blob));
  const { first } = hintsOf({ ...described, size: blob.size });
  if (first.length > 0) void blob.bringAhead(near(first, 0));
  return blob;
}

/** Reads a small blob as a whole. It is kept as long as the image is open, so that it opens again without who serves it. */
async function readKept<T>(
  described: Descriptor,
  parse: (bytes: Uint8Array, room: Room) => Promise<T>,
  { from, pool, resources, call, room }: Opening,
): Promise<T> {
  room.take(described);
  const raw = await pool.open(rawBlob(from.source(described), described.digest));
  resources.defer(() => pool.release(raw));
  try {
    const bytes = await raw.read(0, described.size, call);
    await verifyDigest(bytes, described.digest, 'a part of an index');
    return await parse(bytes, room);
  } catch (error) {
    raw.forget();
    throw error;
  }
}
