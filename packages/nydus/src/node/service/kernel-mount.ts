import { isOpenElsewhere, MountFlag, mount, unmount } from '@anole/host/native';
import { loadMetadata } from '../hints.ts';
import type { Filler } from './filler.ts';
import type { DescriptorKeeper, ImageMount } from './mount.ts';
import type { OnDemandImage } from './on-demand.ts';

/**
 * Mounts an image by the kernel's EROFS, from the cache's file; or, where it is `mounted` already by
 * a service that is gone, goes on filling that.
 *
 * @throws HostError as `mount`; ErofsError where the image is damaged
 */
export async function mountByKernel(
  image: OnDemandImage,
  directory: string,
  filler: Filler,
  keeper: DescriptorKeeper,
  mounted = false,
): Promise<ImageMount> {
  const { blob } = image;
  const name = fileName(image.digest);
  if (!mounted) {
    await loadMetadata(image.tree);
    await keeper.keep(name, blob.fd);
  }
  filler.add(blob);
  try {
    if (!mounted) mount(blob.path, directory, 'erofs', MountFlag.readOnly);
  } catch (error) {
    filler.remove(blob);
    throw error;
  }
  return {
    kind: 'kernel',
    directory,
    blob,
    async unmount() {
      unmount(directory);
    },
    isInUse: () => isOpenElsewhere(blob.fd),
    async release() {
      if (filler.remove(blob)) keeper.release(name);
      await image.close();
    },
  };
}

/** By which the keeper knows the descriptor of the file of a layer. */
export function fileName(digest: string): string {
  return `file ${digest}`;
}
