import { FuseServer } from '@anole/fuse';
import { hostVolume } from '@anole/host';
import { VirtioFs } from '@anole/machine';
import { type MemoryOverlay, MemoryTree, memoryOverlay } from '@anole/vfs';
import { rootTag } from '../guest/boot.ts';
import { prepareRoot } from '../guest/root.ts';
import type { MachineOrder, VolumeSource } from './messages.ts';
import { openTree } from './open-tree.ts';
import { volumeSlots, volumeTag } from './shape.ts';

export interface Root {
  readonly tree: MemoryOverlay;
  readonly server: FuseServer;
}

/** What is behind a machine's virtio-fs devices. */
export interface FileSystems {
  readonly root: Root;
  /** A server for each slot, also where no volume is in it. */
  readonly volumes: readonly FuseServer[];
  readonly devices: readonly VirtioFs[];
}

/** The image under a layer that takes the writes, and the volumes: a device each. */
export async function fileSystems(order: MachineOrder): Promise<FileSystems> {
  const tree = memoryOverlay(await openTree(order.root), { maxBytes: order.maxWritten });
  // That of a fork comes as it is.
  if (order.fork === undefined) await prepareRoot(tree);
  const server = new FuseServer(tree, { unsettled: true });
  const slots = volumeSlots(order.volumes.length);
  const volumes = Array.from({ length: slots }, (_, index) => volumeServer(order.volumes[index]));
  const devices = [
    fileSystem(rootTag, server),
    ...volumes.map((volume, index) => fileSystem(volumeTag(index), volume)),
  ];
  return { root: { tree, server }, volumes, devices };
}

function volumeServer(volume: VolumeSource | undefined): FuseServer {
  if (volume === undefined) return new FuseServer(new MemoryTree());
  const tree = hostVolume(volume.directory, { readOnly: volume.readOnly });
  // Others on the host change a volume too.
  return new FuseServer(tree, { exclusive: false });
}

function fileSystem(tag: string, server: FuseServer): VirtioFs {
  return new VirtioFs({ tag, handle: (request) => server.handle(request) });
}
