import { isPromise, type ReadOptions, type Source } from '@anole/bytes';
import { type ErofsNode, type ErofsTree, openErofs } from '@anole/erofs';
import { hostDecoders } from '@anole/host';
import { type Descriptor, dmverityOf, mediaTypes, OciError } from '@anole/oci';
import { walk } from '@anole/vfs';
import type { CachedBlob } from '../cache/blob.ts';
import type { BlobCache, OpenBlobOptions } from '../cache/cache.ts';
import { verityBlob } from '../verity-blob.ts';

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
  try {
    const tree = await openErofs(blob, { decoders: hostDecoders });
    return { digest: layer.digest, blob, tree, close: () => blob.close() };
  } catch (error) {
    await blob.close();
    throw error;
  }
}

/**
 * Brings all that is not data: a kernel that mounts the image waits for data only.
 */
export async function loadMetadata(tree: ErofsTree, options: ReadOptions = {}): Promise<void> {
  for await (const { node, linkTo } of walk(tree, options)) {
    if (linkTo !== undefined) continue;
    await node.xattrs();
    if (node.stat.type === 'symlink') await node.readLink();
    await mapAll(node as ErofsNode);
  }
  const packed = await tree.packed();
  if (packed) await mapAll(packed);
}

/** Finds where all data of a node lie. */
async function mapAll(node: ErofsNode): Promise<void> {
  for (let at = 0; at < node.stat.size; ) {
    const mapping = node.mapping(at);
    const { offset, length } = isPromise(mapping) ? await mapping : mapping;
    at = offset + length;
  }
}
