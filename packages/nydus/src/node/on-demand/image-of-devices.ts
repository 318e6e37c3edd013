import { hash } from 'node:crypto';
import { openErofs } from '@anole/erofs';
import { hostDecoders } from '@anole/host';
import type { CachedBlob } from '../cache/blob.ts';
import type { BlobPool } from './blob-pool.ts';
import type { OnDemandImage } from './image.ts';
import { cachesIn } from './memory.ts';
import { madeBlob, madeId } from './near-blobs.ts';

/**
 * An image of which all metadata are here, and whose data are on devices.
 *
 * @param metadata an EROFS image. It passes to the callee.
 * @param devices in the order of its device table, of the pool
 * @param resources what the image stands on, the devices among it: given up with it
 * @throws ErofsError, HostError
 */
export async function imageOfDevices(
  metadata: Uint8Array,
  devices: readonly CachedBlob[],
  pool: BlobPool,
  resources: AsyncDisposableStack,
): Promise<OnDemandImage> {
  const made = madeBlob(metadata, madeId(metadata));
  const image = await pool.open(made);
  resources.defer(() => pool.release(image));
  await image.ensure(0, image.size);
  // Only a disk that does not take it makes the bytes stay.
  if (image.holds(0, image.size)) made.forget();
  const options = { devices, decoders: hostDecoders, ...cachesIn(pool.memory) };
  const tree = await openErofs(image, options);
  const blobs = [image, ...devices];
  return {
    digest: `sha256:${hash('sha256', blobs.map(({ id }) => id).join('\n'), 'hex')}`,
    blobs,
    tree,
    loadMetadata: async () => {},
    close: () => resources.disposeAsync(),
  };
}
