import { FuseServer } from '@anole/fuse';
import { hostVolume } from '@anole/host';
import { SharedMemory, VirtioFs } from '@anole/machine/runtime';
import { type MemoryOverlay, memoryOverlay, type Tree, type WritableTree } from '@anole/vfs';
import { rootTag } from '../guest/boot.ts';
import { prepareRoot } from '../guest/root.ts';
import type { Mounted } from './files/namespace.ts';
import { isImageVolume, type MachineOrder } from './messages.ts';
import { openTree } from './open-tree.ts';
import { type VolumeSlot, volumeSlots } from './shape.ts';

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
  /** What is mounted where: the root first, and volumes in the order of the guest's mounts. */
  readonly mounted: readonly [Mounted, ...Mounted[]];
}

/** The image under a layer that takes the writes, and the volumes: a device each. */
export async function fileSystems(
  order: MachineOrder,
  onLimit: (limit: 'disk') => void,
): Promise<FileSystems> {
  await using opened = new AsyncDisposableStack();
  const { tree: image, found } = await openTree(order.root);
  const tree = memoryOverlay(image, {
    maxBytes: order.maxWritten,
    ...(found && { found }),
    onFull: () => onLimit('disk'),
  });
  opened.defer(() => tree.close?.());
  // That of a fork comes as it is, and so does that of a saved sandbox.
  if (order.fork === undefined && order.saved === undefined) {
    await prepareRoot(tree);
    if (order.network !== undefined) await prepareNames(tree);
  }
  const server = new FuseServer(tree, { unsettled: true });
  const slots: SlotFiles[] = [];
  for (const slot of volumeSlots(order.volumes)) {
    const files = await filesOf(slot);
    opened.defer(() => files.tree.close?.());
    slots.push(files);
  }
  const mounted = order.volumes.map((volume): Mounted => {
    const files = slots.find(({ slot }) => slot.volume === volume)!;
    return { tree: files.tree, server: files.server, path: volume.path };
  });
  const kept = opened.move();
  return {
    root: { tree, server },
    volumes: slots.map((slot) => slot.server),
    devices: [fileSystem(rootTag, server), ...slots.map(({ device }) => device)],
    mounted: [{ tree, server, path: '/' }, ...mounted],
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function prepareNames(tree: MemoryOverlay): Promise<void> {
  const names = await import('../guest/names.ts');
  await names.prepareNames(tree);
}

interface SlotFiles {
  readonly slot: VolumeSlot;
  readonly tree: Tree | WritableTree;
  readonly server: FuseServer;
  readonly device: VirtioFs;
}

async function filesOf(slot: VolumeSlot): Promise<SlotFiles> {
  const { tag, hasWindow, volume } = slot;
  const window = hasWindow ? new SharedMemory() : undefined;
  if (volume === undefined || isImageVolume(volume)) {
    const { tree } =
      volume === undefined ? { tree: memoryOverlay() } : await openTree(volume.image);
    const server = new FuseServer(tree, { mountedReadOnly: hasWindow, window });
    return { slot, tree, server, device: fileSystem(tag, server, window) };
  }
  const tree = hostVolume(volume.directory, { readOnly: volume.readOnly });
  // Others on the host change a volume too.
  const server = new FuseServer(tree, { exclusive: false });
  return { slot, tree, server, device: fileSystem(tag, server) };
}

function fileSystem(tag: string, server: FuseServer, sharedMemory?: SharedMemory): VirtioFs {
  const handle = (request: Uint8Array) => server.handle(request);
  return new VirtioFs({ tag, handle, ...(sharedMemory && { sharedMemory }) });
}
