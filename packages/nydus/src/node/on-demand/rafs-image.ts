import { type CallOptions, memorySource } from '@anole/bytes';
import { type Descriptor, mediaTypes, verifyDigest } from '@anole/oci';
import { RafsError } from '../../errors.ts';
import type { BlobInfo } from '../../reader/blob-info.ts';
import type { RafsImage } from '../../reader/image.ts';
import { openRafs } from '../../reader/open.ts';
import type { CachedBlob } from '../cache/blob.ts';
import { nodeCodecs } from '../codecs.ts';
import { bootstrapLayer, rafsAnnotations } from '../rafs-layers.ts';
import { unpackBootstrap } from '../variant.ts';
import type { BlobPool } from './blob-pool.ts';
import type { ImageBlobs, OnDemandImage, OnDemandReference } from './image.ts';
import { imageOfDevices } from './image-of-devices.ts';
import { rawBlob } from './near-blobs.ts';
import { bringNamed } from './own-hints.ts';
import { rafsDevice, StoredBlob } from './rafs-device.ts';

/**
 * Opens an image of RAFS v6: its bootstrap is an EROFS image, its blobs, decoded, are the devices.
 *
 * @throws RafsError, OciError, HostError
 */
export async function openRafsImage(
  { layers }: OnDemandReference,
  from: ImageBlobs,
  pool: BlobPool,
  call: CallOptions = {},
): Promise<OnDemandImage> {
  await using resources = new AsyncDisposableStack();
  const keep = async (layer: (typeof layers)[number]): Promise<CachedBlob> => {
    const raw = await pool.open(rawBlob(from.source(layer), layer.digest));
    resources.defer(() => pool.release(raw));
    return raw;
  };
  const last = bootstrapLayer(layers)!;
  const bootstrap = await readBootstrap(await keep(last), last.digest, call);
  const { memory } = pool;
  const stored = new Map<string, StoredBlob>();
  const options = { codecs: nodeCodecs, decodedCache: memory.contents };
  const infoOf = (id: string) => image.blobs.find(({ info }) => info.id === id)?.info;
  const resolve = async (id: string): Promise<StoredBlob | undefined> => {
    const known = stored.get(id);
    if (known) return known;
    const info = infoOf(id);
    const layer = layerOf(`sha256:${id}`, layers, info);
    if (layer === undefined) return undefined;
    const blob = new StoredBlob(
      from.source(layer),
      await keep(layer),
      tablesOf(info),
      memory.fetched,
    );
    stored.set(id, blob);
    return blob;
  };
  const image: RafsImage = await openRafs(memorySource(bootstrap), resolve, options);
  if (image.version !== 6) {
    throw new RafsError('RAFS_UNSUPPORTED', 'Cannot load an image of RAFS v5 on demand', {
      hint: 'Convert the image: anole image convert SOURCE DESTINATION',
    });
  }
  const devices: CachedBlob[] = [];
  for (const blob of image.blobs) {
    const remote = await rafsDevice(blob, (await blob.data()) as StoredBlob);
    const device = await pool.open({ ...remote, distrust: () => from.distrust?.() });
    resources.defer(() => pool.release(device));
    devices.push(device);
  }
  const opened = await imageOfDevices(bootstrap, devices, pool, resources.move());
  const closing = new AbortController();
  void bringNamed(opened.tree, devices, () => image.prefetch(), closing.signal);
  const close = () => {
    closing.abort();
    return opened.close();
  };
  return { ...opened, close };
}

/** The layer that has a blob: one of the image's, or one that its layers refer to. */
function layerOf(
  digest: string,
  layers: readonly Descriptor[],
  info: BlobInfo | undefined,
): Descriptor | undefined {
  const own = layers.find((layer) => layer.digest === digest);
  if (own) return own;
  const isReferred = layers.some(
    ({ annotations }) => annotations?.[rafsAnnotations.reference] === digest,
  );
  if (!isReferred || info === undefined) return undefined;
  return { mediaType: mediaTypes.layerGzip, digest, size: info.compressedSize };
}

/** Where the tables of a blob begin: of one that is no blob of the image all of it is tables. */
function tablesOf(info: BlobInfo | undefined): number {
  if (info === undefined) return 0;
  if (info.metaId !== undefined) return Number.POSITIVE_INFINITY;
  return info.meta?.offset ?? Number.POSITIVE_INFINITY;
}

async function readBootstrap(raw: CachedBlob, digest: string, call: CallOptions) {
  try {
    const bytes = await raw.read(0, raw.size, call);
    await verifyDigest(bytes, digest, 'a bootstrap');
    return await unpackBootstrap(once(bytes));
  } catch (error) {
    raw.forget();
    throw error;
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
