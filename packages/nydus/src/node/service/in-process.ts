import type { CallOptions } from '@anole/bytes';
import { ImageStore, Registries } from '@anole/oci/node';
import type { Tree } from '@anole/vfs';
import { BlobCache } from '../cache/cache.ts';
import { openOnDemand } from './on-demand.ts';
import { layerSource } from './registry-images.ts';
import type { OnDemandReference } from './service.ts';

export { isOnDemand } from './on-demand.ts';
export type { OnDemandReference } from './service.ts';

/**
 * Opens an image that loads on demand in this process, without a mount and without root. Reading it
 * raises what fetching does. Whoever gets the Tree closes it.
 *
 * @param directory of blobs, which other processes may use too
 * @throws OciError, ErofsError, HostError
 */
export async function openTreeOnDemand(
  image: OnDemandReference,
  directory: string,
  { signal }: CallOptions = {},
): Promise<Tree> {
  await using resources = new AsyncDisposableStack();
  const around = {
    registries: resources.use(await Registries.load()),
    store: new ImageStore(),
  };
  const far = layerSource(image, around);
  const cache = new BlobCache(directory);
  const opened = await openOnDemand(image.layer, far, cache, signal ? { signal } : {});
  resources.defer(() => opened.close());
  const kept = resources.move();
  return { root: opened.tree.root, close: () => kept.disposeAsync() };
}
