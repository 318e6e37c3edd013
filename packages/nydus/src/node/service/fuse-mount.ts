import { setTimeout as sleep } from 'node:timers/promises';
import { FuseServer, resendRequests } from '@anole/fuse';
import { type FuseHandler, type FuseMount, mountFuse, resumeFuse } from '@anole/host';
import { FuseBackings } from '@anole/host/native';
import type { OnDemandImage } from '../on-demand/image.ts';
import { OpenFiles } from '../passing/open-files.ts';
import { PassedFiles, type Passing } from '../passing/passed-files.ts';
import { CalmedReads, deviceOf, type ReadAheadOfKernel } from './calmed-reads.ts';
import type { LeftDescriptors } from './left-descriptors.ts';
import type { DescriptorKeeper, ImageMount, Passthrough } from './mount.ts';
import type { MountRecord } from './mount-record.ts';

/** A mount of a service that is gone, as its keeper knows it. */
export interface FuseLeft {
  /** Taken over where going on succeeds. */
  readonly descriptors: LeftDescriptors;
  readonly agreed: number;
  readonly readAhead?: ReadAheadOfKernel | undefined;
}

export interface FuseEvents {
  /** A reader of a mount got an error. The path is relative to the mount's directory. */
  onFailure?(mount: MountRecord, path: string | undefined, error: unknown): void;
}

/** What mounts have in common. */
interface FuseMounting extends FuseEvents {
  /** Undefined: the kernel is to read no file by itself. */
  readonly passing: Passing | undefined;
}

/** As the server of a tree that is only read says. */
const MAX_WRITE = 4096;
/** How long the kernel may take to end what nobody has any more, in milliseconds. */
const PATIENCE = 200;
const NOT_WANTED = 'the service that mounted it was started without';
const NOT_KNOWN = 'the kernel has no passthrough of FUSE (Linux 6.9 has)';

/**
 * Mounts an image through FUSE, or goes on with such a mount.
 *
 * @throws HostError as `mountFuse`
 */
export async function mountThroughFuse(
  image: OnDemandImage,
  record: MountRecord,
  keeper: DescriptorKeeper,
  { passing, onFailure }: FuseMounting,
  left?: FuseLeft,
): Promise<ImageMount> {
  const names = descriptorNames(record);
  let failures = 0;
  const fail = (error: unknown, path: string | undefined) => {
    failures++;
    onFailure?.(record, path, error);
  };
  const served = serving(image, passing, fail, left);
  const { server, passed } = served;
  const mounted = left
    ? await resume(served, record.directory, left)
    : await begin(served, record, names, keeper);
  // Asks the root, so that the kernel has introduced itself.
  const device = left ? undefined : await deviceOf(mounted.directory);
  const calmed = device
    ? CalmedReads.begin(device, image)
    : left?.readAhead && CalmedReads.resume(left.readAhead, image);
  if (server.passes) await passed?.try();
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
    get passthrough() {
      return passthroughOf(served);
    },
    get failures() {
      return failures;
    },
    calmed,
    async unmount() {
      await mounted.unmount();
      await Promise.race([ended, sleep(PATIENCE)]);
    },
    isInUse: () => isServed,
    async release() {
      calmed?.stop();
      for (const name of Object.values(names)) keeper.release(name);
      await passed?.stop();
      await mounted.close();
      passed?.[Symbol.dispose]();
      await image.close();
    },
  };
}

/** What answers the kernel. */
interface Served {
  readonly server: FuseServer;
  readonly handle: FuseHandler;
  readonly device: FuseBackings;
  readonly open: OpenFiles | undefined;
  readonly passed: PassedFiles | undefined;
}

function serving(
  image: OnDemandImage,
  passing: Passing | undefined,
  onFailure: (error: unknown, path: string | undefined) => void,
  left: FuseLeft | undefined,
): Served {
  const { tree } = image;
  const device = new FuseBackings();
  // A mount of a service that noted nothing passed no file.
  const open = passing && (left ? left.descriptors.open : OpenFiles.make());
  const passed = open && new PassedFiles(image, passing, open, device);
  const server = new FuseServer(tree, {
    nodeOf: (ino) => tree.byIno(ino),
    mountedReadOnly: true,
    backings: passed,
    onFailure,
    ...(left && { agreed: left.agreed }),
  });
  const handle = (request: Uint8Array) => {
    passing?.spare.note();
    return server.handle(request);
  };
  return { server, handle, device, open, passed };
}

function resume({ handle, device }: Served, directory: string, { descriptors }: FuseLeft) {
  device.attach(descriptors.device);
  const options = { maxWrite: MAX_WRITE, onEnd: () => device.detach() };
  return resumeFuse(directory, descriptors.device, handle, resendRequests(), options);
}

async function begin(
  { handle, device, open }: Served,
  { directory, suid = false, dev = false }: MountRecord,
  names: DescriptorNames,
  keeper: DescriptorKeeper,
): Promise<FuseMount> {
  try {
    return await mountFuse(directory, handle, {
      options: ['ro', suid ? 'suid' : 'nosuid', dev ? 'dev' : 'nodev'],
      maxWrite: MAX_WRITE,
      onEnd: () => device.detach(),
      async onDescriptor(fd) {
        device.attach(fd);
        await Promise.all([
          keeper.keep(names.device, fd),
          open && keeper.keep(names.open, open.fd),
        ]);
      },
    });
  } catch (error) {
    open?.[Symbol.dispose]();
    throw error;
  }
}

function passthroughOf({ server, passed }: Served): Passthrough {
  const why = server.passes ? passed?.why : passed ? NOT_KNOWN : NOT_WANTED;
  const { opens = 0, failures = 0, failure } = passed ?? {};
  const isOn = why === undefined;
  return { isOn, ...(why && { why }), opens, failures, ...(failure && { failure }) };
}

/** By which the keeper knows descriptors of a mount: those of one that is detached, and of its successor, apart. */
export interface DescriptorNames {
  readonly device: string;
  readonly open: string;
}

export function descriptorNames({
  directory,
  since,
}: Pick<MountRecord, 'directory' | 'since'>): DescriptorNames {
  const mount = `${since} ${directory}`;
  return { device: `fuse ${mount}`, open: `open ${mount}` };
}
