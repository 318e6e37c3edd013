import { stat } from 'node:fs/promises';
import { FuseServer, resendRequests } from '@anole/fuse';
import { type FuseMount, mountFuse, resumeFuse } from '@anole/host';
import type { DescriptorKeeper, ImageMount } from './mount.ts';
import type { OnDemandImage } from './on-demand.ts';

/** A mount of a service that is gone, of which its keeper has the descriptor. */
export interface FuseLeft {
  readonly fd: number;
  readonly agreed: number;
}

/**
 * Mounts an image through FUSE, or goes on with such a mount.
 *
 * @throws HostError as `mountFuse`
 */
export async function mountThroughFuse(
  image: OnDemandImage,
  directory: string,
  keeper: DescriptorKeeper,
  left?: FuseLeft,
): Promise<ImageMount> {
  const { tree } = image;
  const server = new FuseServer(tree, {
    nodeOf: (ino) => tree.byIno(ino),
    ...(left && { agreed: left.agreed }),
  });
  const name = descriptorName(directory);
  const handle = (request: Uint8Array) => server.handle(request);
  const mounted: FuseMount = left
    ? await resumeFuse(directory, left.fd, handle, resendRequests())
    : await mountFuse(directory, handle, {
        options: ['ro'],
        onDescriptor: (fd) => keeper.keep(name, fd),
      });
  // Asks the root, so that the kernel has introduced itself.
  if (!left) await stat(mounted.directory);
  return {
    kind: 'fuse',
    directory: mounted.directory,
    blob: image.blob,
    get agreed() {
      return server.agreed ?? 0;
    },
    async close() {
      keeper.release(name);
      await mounted.close();
      await image.close();
    },
  };
}

/** By which the keeper knows a mount's descriptor. */
export function descriptorName(directory: string): string {
  return `fuse ${directory}`;
}
