import { FuseServer } from '@anole/fuse';
import { hostVolume } from '@anole/host';
import { VirtioFs } from '@anole/machine/runtime';
import { type MemoryOverlay, memoryOverlay } from '@anole/vfs';
import { rootTag } from '../guest/boot.ts';
import { prepareRoot } from '../guest/root.ts';
import type { Mounted } from './files/namespace.ts';
import type { MachineOrder, VolumeSource } from './messages.ts';
import { openTree } from './open-tree.ts';
import { volumeSlots, volumeTag } from './shape.ts';

export interface Root {
  readonly tree: MemoryOverlay;
  readonly server: FuseServer;
}

/** What is behind a machine's virtio-fs devices. */
export interface FileSystems extends AsyncDisposable {
  readonly root: Root;
  /** A server for each slot, also where no volume is in it. */
  readonly volumes: readonly FuseServer[];
  readonly devices: readonly VirtioFs[];
  /** What is mounted where: the root first. */
  readonly mounted: readonly [Mounted, ...Mounted[]];
}

/** The image under a layer that takes the writes, and the volumes: a device each. */
export async function fileSystems(
  order: MachineOrder,
  onLimit: (limit: 'disk') => void,
): Promise<FileSystems> {
  const { tree: image, found } = await openTree(order.root);
  const tree = memoryOverlay(image, {
    maxBytes: order.maxWritten,
    ...(found && { found }),
    onFull: () => onLimit('disk'),
  });
  // That of a fork comes as it is, and so does that of a saved sandbox.
  if (order.fork === undefined && order.saved === undefined) {
    await prepareRoot(tree);
    if (order.network !== undefined) await prepareNames(tree);
  }
  const server = new FuseServer(tree, { unsettled: true });
  const slots = volumeSlots(order.volumes.length);
  const mounted: [Mounted, ...Mounted[]] = [{ tree, server, path: '/' }];
  const mounts = Array.from({ length: slots }, (_, index) => volumeMount(order.volumes[index]));
  for (const mount of mounts) {
    if (mount.path !== undefined) mounted.push({ ...mount, path: mount.path });
  }
  const volumes = mounts.map((mount) => mount.server);
  const devices = [
    fileSystem(rootTag, server),
    ...volumes.map((volume, index) => fileSystem(volumeTag(index), volume)),
  ];
  const close = async () => {
    for (const mount of mounts) await mount.tree.close?.();
    await tree.close?.();
  };
  return { root: { tree, server }, volumes, devices, mounted, [Symbol.asyncDispose]: close };
}

async function prepareNames(tree: MemoryOverlay): Promise<void> {
  const names = await import('../guest/names.ts');
  await names.prepareNames(tree);
}

function volumeMount(volume: VolumeSource | undefined) {
  const tree =
    volume === undefined
      ? memoryOverlay()
      : hostVolume(volume.directory, { readOnly: volume.readOnly });
  // Others on the host change a volume too.
  const server = new FuseServer(tree, { exclusive: volume === undefined });
  return { tree, server, path: volume?.path };
}

function fileSystem(tag: string, server: FuseServer): VirtioFs {
  return new VirtioFs({ tag, handle: (request) => server.handle(request) });
}
