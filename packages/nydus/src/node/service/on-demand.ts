import type { Source } from '@anole/bytes';
import { type ErofsTree, openErofs } from '@anole/erofs';
import { hostDecoders } from '@anole/host';
import {
  type Descriptor,
  dmverityOf,
  hintsOf,
  type LayerRange,
  mediaTypes,
  OciError,
} from '@anole/oci';
import type { CachedBlob } from '../cache/blob.ts';
import type { BlobCache, OpenBlobOptions } from '../cache/cache.ts';
import { verityBlob } from '../verity-blob.ts';

/** Small ones: what has come lies in a file, and a service may have many images open. */
const CACHES = { metadataCache: 1 << 20, decodedCache: 8 << 20 };

/** An image whose data come when they are read. */
export interface OnDemandImage {
  /** Of the layer. */
  readonly digest: string;
  readonly blob: CachedBlob;
  readonly tree: ErofsTree;
  close(): Promise<void>;
}

/**
 * Whether a layer can be opened without fetching it whole: it is EROFS, and protected by dm-verity's
 * hashes, as `anole image convert` makes it.
 */
export function isOnDemand(layer: Descriptor): boolean {
  return layer.mediaType === mediaTypes.erofsLayer && dmverityOf(layer) !== undefined;
}

/**
 * Opens a layer that {@link isOnDemand}. Reading it raises what fetching does.
 *
 * @param far the layer's bytes, at which each read is a request
 * @throws OciError `OCI_UNSUPPORTED` for other layers; ErofsError, HostError
 */
export async function openOnDemand(
  layer: Descriptor,
  far: Source,
  cache: BlobCache,
  options: OpenBlobOptions = {},
): Promise<OnDemandImage> {
  const hashes = dmverityOf(layer);
  if (hashes === undefined || layer.mediaType !== mediaTypes.erofsLayer) {
    throw new OciError(
      'OCI_UNSUPPORTED',
      `Cannot load ${layer.digest} on demand: its ranges cannot be verified`,
      { hint: 'Convert the image: anole image convert SOURCE DESTINATION' },
    );
  }
  const blob = await cache.open(verityBlob(far, layer.digest, hashes), options);
  const within = ([start, end]: LayerRange) => [start, Math.min(end, blob.size)] as const;
  const { metadata, first } = hintsOf(layer);
  try {
    // At once, with the superblock: asked for one after the other, they would cost a round trip each.
    for (const [start, end] of metadata.map(within)) {
      blob.ensure(start, end - start)?.catch(() => undefined);
    }
    if (first.length > 0) void blob.bringAhead(first.map(within));
    const tree = await openErofs(blob, { decoders: hostDecoders, ...CACHES });
    return { digest: layer.digest, blob, tree, close: () => blob.close() };
  } catch (error) {
    await blob.close();
    throw error;
  }
}
