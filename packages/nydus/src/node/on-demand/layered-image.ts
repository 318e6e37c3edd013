import { hash } from 'node:crypto';
import type { CallOptions } from '@anole/bytes';
import { type IndexedArchive, indexMembers, type TarIndex } from '@anole/erofs';
import {
  type Descriptor,
  type LayerIndex,
  membersOfImage,
  OciError,
  parseZtoc,
  verifyDigest,
} from '@anole/oci';
import { decodeZstdPart, hasToc, indexLayer, tocIndex } from '@anole/oci/node';
import type { CachedBlob } from '../cache/blob.ts';
import { namesImage } from '../names-image.ts';
import type { BlobPool } from './blob-pool.ts';
import { bringCommand, executionOf } from './bring-command.ts';
import { type ImageBlobs, keyOf, type OnDemandImage, type OnDemandReference } from './image.ts';
import { imageOfDevices } from './image-of-devices.ts';
import { layerDevice } from './layer-device.ts';
import { madeId, rawBlob } from './near-blobs.ts';

/** Bytes of a ztoc at most: one for a million files has some 200 MB. */
const ZTOC_MAX = 256 * 1024 * 1024;

/** Where an image is opened. */
interface Opening {
  readonly reference: OnDemandReference;
  readonly from: ImageBlobs;
  readonly pool: BlobPool;
  /** Given up with the image, or where it cannot be opened. */
  readonly resources: AsyncDisposableStack;
  readonly call: CallOptions;
}

/**
 * Opens an image whose layers are archives with indexes: names and attributes become an EROFS image here,
 * each layer a device beside it. A layer without an index is fetched whole, and indexed on its way.
 *
 * @throws OciError, TarError, VfsError for layers and indexes that make no file system; HostError
 */
export async function openLayeredImage(
  reference: OnDemandReference,
  from: ImageBlobs,
  pool: BlobPool,
  call: CallOptions = {},
): Promise<OnDemandImage> {
  await using resources = new AsyncDisposableStack();
  const opening = { reference, from, pool, resources, call };
  const { config } = reference;
  const execution = config ? executionOf(config, from, pool, resources) : undefined;
  const opened = await Promise.allSettled(
    reference.layers.map((layer) => openLayer(layer, opening)),
  );
  // Only when all have ended: what one has read wrongly must be forgotten before it is closed.
  const layers = opened.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
  const index = await indexMembers(layers);
  const devices = layers.map(({ archive }) => archive).filter(({ size }) => size > 0);
  // While the image is made. Not where who made the layers has said what is wanted first.
  if (execution && !layers.some(({ wantedFirst }) => wantedFirst > 0)) {
    const closing = new AbortController();
    resources.defer(() => closing.abort());
    void bringCommand({ ...index, devices }, execution, closing.signal);
  }
  const metadata = await metadataOf(index, reference, pool, call);
  return await imageOfDevices(metadata, devices, pool, resources.move());
}

/** Where a service that is gone has left the image mounted, the metadata that are mounted. */
async function metadataOf(
  index: TarIndex,
  reference: OnDemandReference,
  { inherited }: BlobPool,
  call: CallOptions,
): Promise<Uint8Array> {
  const metadata = await namesImage(index, { uuid: uuidOf(reference), ...call });
  if (inherited.size === 0 || inherited.has(madeId(metadata))) return metadata;
  // Services of before made the UUID of all names and attributes.
  const former = await namesImage(index, call);
  return inherited.has(madeId(former)) ? former : metadata;
}

/**
 * What the image is made of names it, too, and need not be gone through once more. Version 8 of RFC 9562: an identifier
 * of one's own making.
 */
function uuidOf(reference: OnDemandReference): Uint8Array {
  const uuid = new Uint8Array(hash('sha256', keyOf(reference), 'buffer').subarray(0, 16));
  uuid[6] = (uuid[6]! & 0x0f) | 0x80;
  uuid[8] = (uuid[8]! & 0x3f) | 0x80;
  return uuid;
}

interface OpenedLayer extends IndexedArchive {
  readonly archive: CachedBlob;
  /** Bytes at its beginning. */
  readonly wantedFirst: number;
}

async function openLayer(layer: Descriptor, opening: Opening): Promise<OpenedLayer> {
  const { from, pool, resources } = opening;
  const { index, stored } = await indexOf(layer, opening);
  const device = layerDevice(index, layer.digest, stored ?? from.source(layer));
  const { remote, placeOf, wantedFirst } = device;
  const archive = await pool.open({ ...remote, distrust: () => from.distrust?.() });
  resources.defer(() => pool.release(archive));
  if (wantedFirst > 0) void archive.bringAhead([[0, wantedFirst]]);
  return { members: membersOfImage(layer, index.members), archive, placeOf, wantedFirst };
}

/** @returns with `stored`, where the layer had to be read: all of it is here */
async function indexOf(
  layer: Descriptor,
  { reference, from, pool, resources, call }: Opening,
): Promise<{ readonly index: LayerIndex; readonly stored?: CachedBlob }> {
  const { ztocs = {}, anyIndex = false } = reference;
  const ztoc = ztocs[layer.digest];
  if (ztoc && ztoc.size > ZTOC_MAX) {
    const what = `the index ${ztoc.digest} of a layer: it has ${ztoc.size} bytes`;
    throw new OciError('OCI_TOO_LARGE', `Cannot take ${what}, over ${ZTOC_MAX}`);
  }
  // Kept as long as the image is open, so that it can be opened again without who serves it.
  const raw = await pool.open(rawBlob(from.source(ztoc ?? layer), (ztoc ?? layer).digest));
  resources.defer(() => pool.release(raw));
  try {
    if (ztoc) return { index: await readZtoc(raw, ztoc, call) };
    const own = anyIndex || hasToc(layer) ? await tocIndex(layer, raw, call) : undefined;
    if (own) return { index: own };
    return { index: await indexLayer(streamOf(raw), layer, call), stored: raw };
  } catch (error) {
    raw.forget();
    throw error;
  }
}

async function readZtoc(raw: CachedBlob, { digest, size }: Descriptor, call: CallOptions) {
  const bytes = await raw.read(0, size, call);
  await verifyDigest(bytes, digest, 'an index of a layer');
  return parseZtoc(bytes, { decodeZstd: decodeZstdPart });
}

/** Bytes read at once. */
const PIECE = 1024 * 1024;

function streamOf(blob: CachedBlob) {
  return {
    name: blob.id,
    async *blob(_layer: Descriptor, call: CallOptions): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < blob.size; at += PIECE) {
        yield await blob.read(at, Math.min(PIECE, blob.size - at), call);
      }
    },
  };
}
