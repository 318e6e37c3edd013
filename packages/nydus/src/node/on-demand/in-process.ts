import type { CallOptions } from '@anole/bytes';
import { ImageStore, Registries } from '@anole/oci/node';
import type { Tree } from '@anole/vfs';
import { BlobCache } from '../cache/cache.ts';
import { BlobPool } from './blob-pool.ts';
import type { OnDemandReference } from './image.ts';
import { openOnDemand } from './open.ts';
import { placeBlobs } from './place-blobs.ts';

export { onDemandFeatures, onDemandOf } from './find.ts';
export type { OnDemandReference } from './image.ts';

/**
 * Opens an image that loads on demand in this process, without a mount and without root. Reading it
 * raises what fetching does. Whoever gets the Tree closes it.
 *
 * @param directory of blobs, which other processes may use too
 * @throws OciError, RafsError, ErofsError, HostError
 */
export async function openTreeOnDemand(
  image: OnDemandReference,
  directory: string,
  call: CallOptions = {},
): Promise<Tree> {
  await using resources = new AsyncDisposableStack();
  const around = {
    registries: resources.use(await Registries.load()),
    store: new ImageStore(),
  };
  const pool = new BlobPool(new BlobCache(directory));
  resources.use(pool.decoded);
  const opened = await openOnDemand(image, placeBlobs(image.name, around), pool, call);
  resources.defer(() => opened.close());
  const kept = resources.move();
  return { root: opened.tree.root, close: () => kept.disposeAsync() };
}
