import { HostError } from '@anole/host';
import { isOpenElsewhere, MountFlag, mount, unmount } from '@anole/host/native';
import type { CachedBlob } from '../cache/blob.ts';
import type { OnDemandImage } from '../on-demand/image.ts';
import {
  CalmedReads,
  decodesPages,
  erofsDeviceSince,
  erofsDevices,
  type ReadAheadOfKernel,
} from './calmed-reads.ts';
import type { Filler } from './filler.ts';
import type { DescriptorKeeper, ImageMount, MountRights } from './mount.ts';

const FILE = 'file ';

/** A mount of a service that is gone. */
export interface KernelLeft {
  /** IDs of blobs of which it has left the files. */
  readonly files: ReadonlySet<string>;
  readonly readAhead?: ReadAheadOfKernel | undefined;
}

/**
 * Mounts an image by the kernel's EROFS, from the cache's files; or, where a service that is gone has
 * `left` it mounted, goes on filling those.
 *
 * @throws HostError as `mount`, `HOST_NOT_FOUND` where the files that were left are others;
 *   ErofsError where the image is damaged
 */
export async function mountByKernel(
  image: OnDemandImage,
  { directory, ...rights }: MountRights & { readonly directory: string },
  filler: Filler,
  keeper: DescriptorKeeper,
  left?: KernelLeft,
): Promise<ImageMount> {
  const { blobs } = image;
  if (left) checkLeft(blobs, left, directory);
  const [main, ...devices] = blobs as [CachedBlob, ...CachedBlob[]];
  const watched: CachedBlob[] = [];
  const forget = () => {
    for (const blob of watched) if (filler.remove(blob)) keeper.release(fileName(blob.id));
  };
  let calmed: CalmedReads | undefined;
  try {
    for (const blob of blobs) {
      filler.add(blob);
      watched.push(blob);
    }
    if (left) calmed = left.readAhead && CalmedReads.resume(left.readAhead, image);
    else {
      await makeReady(image, keeper);
      // By descriptors: options have a page, and paths may have commas.
      const options = devices.map(({ fd }) => `device=/proc/self/fd/${fd}`).join(',');
      const before = erofsDevices();
      mount(main.path, directory, 'erofs', flagsOf(rights), options);
      const device = decodesPages(image) ? undefined : erofsDeviceSince(before);
      calmed = device === undefined ? undefined : CalmedReads.begin(device, image);
    }
  } catch (error) {
    forget();
    throw error;
  } finally {
    for (const blob of watched) filler.opened(blob);
  }
  return {
    kind: 'kernel',
    directory,
    blobs,
    get failures() {
      return blobs.reduce((sum, blob) => sum + filler.failuresOf(blob), 0);
    },
    calmed,
    async unmount() {
      unmount(directory);
    },
    isInUse: () => isOpenElsewhere(main.fd),
    async release() {
      calmed?.stop();
      forget();
      await image.close();
    },
  };
}

function flagsOf({ suid = false, dev = false }: MountRights): number {
  const { readOnly, noSetuid, noDevices } = MountFlag;
  return readOnly | (suid ? 0 : noSetuid) | (dev ? 0 : noDevices);
}

/** The kernel reads those files that it has mounted: it would wait for what comes into others in vain. */
function checkLeft(blobs: readonly CachedBlob[], { files }: KernelLeft, directory: string): void {
  const missing = blobs.find(({ id }) => !files.has(id));
  if (missing === undefined) return;
  throw new HostError(
    'HOST_NOT_FOUND',
    `Cannot go on with ${directory}: the service before has left no file of ${JSON.stringify(missing.id)}`,
    { hint: 'Start the version of before again, or unmount the image and mount it anew.' },
  );
}

/** Metadata come while the keeper takes the descriptors. Returns, or throws, when both are done. */
async function makeReady(image: OnDemandImage, keeper: DescriptorKeeper): Promise<void> {
  const kept = image.blobs.map(({ id, fd }) => keeper.keep(fileName(id), fd));
  for (const result of await Promise.allSettled([image.loadMetadata(), ...kept])) {
    if (result.status === 'rejected') throw result.reason;
  }
  const settled = await Promise.all(image.blobs.map((blob) => blob.settle()));
  if (!settled.includes(false)) return;
  // The kernel reads metadata without asking, and would find zeros.
  throw new HostError('HOST_NO_SPACE', 'Cannot mount: the disk does not take what was fetched');
}

/** By which the keeper knows the descriptor of the file of a blob. */
export function fileName(id: string): string {
  return `${FILE}${id}`;
}

/** The descriptors of files of blobs among a keeper's, by the blobs' IDs. */
export function filesAmong(descriptors: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const files = [...descriptors].filter(([name]) => name.startsWith(FILE));
  return new Map(files.map(([name, fd]) => [name.slice(FILE.length), fd]));
}
