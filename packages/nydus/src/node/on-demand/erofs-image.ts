import { openErofs } from '@anole/erofs';
import { hostDecoders } from '@anole/host';
import { dmverityOf, hintsOf, type LayerRange, OciError } from '@anole/oci';
import { near } from '../cache/ranges.ts';
import { verityBlob } from '../verity-blob.ts';
import type { BlobPool } from './blob-pool.ts';
import type { ImageBlobs, OnDemandImage, OnDemandReference } from './image.ts';
import { cachesIn } from './memory.ts';
import { hashesBlob } from './near-blobs.ts';

/** Opens an image that is one EROFS layer with dm-verity's hashes. @throws ErofsError, HostError */
export async function openErofsImage(
  { layers }: OnDemandReference,
  from: ImageBlobs,
  pool: BlobPool,
): Promise<OnDemandImage> {
  const layer = layers[0]!;
  const { memory } = pool;
  const hashes = dmverityOf(layer);
  if (hashes === undefined) {
    throw new OciError(
      'OCI_UNSUPPORTED',
      `Cannot open ${layer.digest}: nothing verifies its ranges`,
    );
  }
  await using resources = new AsyncDisposableStack();
  const kept = await pool.open(hashesBlob(from.source(layer), layer.digest));
  resources.defer(() => pool.release(kept));
  const remote = verityBlob(from.source(layer), layer.digest, hashes, memory.fetched, kept);
  const blob = await pool.open({ ...remote, distrust: () => from.distrust?.() });
  resources.defer(() => pool.release(blob));
  const within = ([start, end]: LayerRange) => [start, Math.min(end, blob.size)] as const;
  const { metadata, first } = hintsOf(layer);
  // At once, with the superblock: asked for one after the other, they would cost a round trip each.
  // Each chunk once: a list may name all of the image, and often.
  for (const [start, end] of near(metadata.map(within), 0)) {
    blob.expect(start, end - start);
  }
  if (first.length > 0) void blob.bringAhead(first.map(within));
  const tree = await openErofs(blob, {
    decoders: hostDecoders,
    ...cachesIn(memory),
    decodedStore: pool.decoded.ofImage(),
  });
  const opened = resources.move();
  return {
    digest: layer.digest,
    blobs: [blob],
    tree,
    loadMetadata: () => tree.loadMetadata(),
    close: () => opened.disposeAsync(),
  };
}
