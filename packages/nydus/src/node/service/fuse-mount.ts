import { setTimeout as sleep } from 'node:timers/promises';
import { FuseServer, resendRequests } from '@anole/fuse';
import { type FuseMount, mountFuse, resumeFuse } from '@anole/host';
import type { OnDemandImage } from '../on-demand/image.ts';
import { CalmedReads, deviceOf, type ReadAheadOfKernel } from './calmed-reads.ts';
import type { DescriptorKeeper, ImageMount } from './mount.ts';
import type { MountRecord } from './service.ts';

/** A mount of a service that is gone, of which its keeper has the descriptor. */
export interface FuseLeft {
  readonly fd: number;
  readonly agreed: number;
  readonly readAhead?: ReadAheadOfKernel | undefined;
}

/** As the server of a tree that is only read says. */
const MAX_WRITE = 4096;
/** How long the kernel may take to end what nobody has any more, in milliseconds. */
const PATIENCE = 200;

/**
 * Mounts an image through FUSE, or goes on with such a mount.
 *
 * @param name by which the keeper knows the mount's descriptor
 * @throws HostError as `mountFuse`
 */
export async function mountThroughFuse(
  image: OnDemandImage,
  directory: string,
  name: string,
  keeper: DescriptorKeeper,
  left?: FuseLeft,
): Promise<ImageMount> {
  const { tree } = image;
  const server = new FuseServer(tree, {
    nodeOf: (ino) => tree.byIno(ino),
    mountedReadOnly: true,
    ...(left && { agreed: left.agreed }),
  });
  const handle = (request: Uint8Array) => server.handle(request);
  const mounted: FuseMount = left
    ? await resumeFuse(directory, left.fd, handle, resendRequests(), { maxWrite: MAX_WRITE })
    : await mountFuse(directory, handle, {
        options: ['ro'],
        maxWrite: MAX_WRITE,
        onDescriptor: (fd) => keeper.keep(name, fd),
      });
  // Asks the root, so that the kernel has introduced itself.
  const device = left ? undefined : await deviceOf(mounted.directory);
  const calmed = device
    ? CalmedReads.begin(device, image)
    : left?.readAhead && CalmedReads.resume(left.readAhead, image);
  let isServed = true;
  const end = () => {
    isServed = false;
  };
  const ended = mounted.ended.then(end, end);
  return {
    kind: 'fuse',
    directory: mounted.directory,
    blobs: image.blobs,
    get agreed() {
      return server.agreed ?? 0;
    },
    calmed,
    async unmount() {
      await mounted.unmount();
      await Promise.race([ended, sleep(PATIENCE)]);
    },
    isInUse: () => isServed,
    async release() {
      calmed?.stop();
      keeper.release(name);
      await mounted.close();
      await image.close();
    },
  };
}

/** By which the keeper knows a mount's descriptor: one that is detached, and its successor, apart. */
export function descriptorName({
  directory,
  since,
}: Pick<MountRecord, 'directory' | 'since'>): string {
  return `fuse ${since} ${directory}`;
}
