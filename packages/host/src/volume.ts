import type { WritableTree } from '@anole/vfs';
import { type Owner, Owners } from './volume/owners.ts';
import { Volume } from './volume/volume.ts';

export interface VolumeOptions {
  /** Refuse every change with `VFS_READ_ONLY`. */
  readonly readOnly?: boolean;
  /**
   * Whom the guest sees as owner of the files of the user who runs this. Default root. Without effect
   * where root runs it: then owners are what they are on the host.
   */
  readonly shownAs?: Owner;
}

/** A WritableTree over a directory of this machine. Close it. */
export interface HostVolume extends WritableTree, Disposable {
  close(): void;
}

/**
 * A directory of this machine as a Tree to change: what `--volume HOST:GUEST` gives to a guest. All
 * answers are synchronous. Others may change the directory at the same time: serve it as such
 * (`exclusive: false`).
 *
 * Whatever the guest asks stays inside: every name is resolved below a held descriptor, links are
 * never followed, nothing but regular files is opened, and devices, FIFOs, sockets, set-uid and
 * set-gid files are never made. What somebody on the host moves out of the directory while the guest
 * uses it stays within the guest's reach.
 *
 * Files belong to the user who runs this, and modes do not keep the guest's root from that user's
 * own files. Not there, for want of a call in Node: extended attributes, holes, unnamed files, the
 * exchange of two names, and times below a microsecond.
 *
 * @throws HostError `HOST_NOT_FOUND`, `HOST_NOT_DIRECTORY`, `HOST_NOT_PERMITTED`. Nodes raise VfsErrors.
 * @example
 * using volume = hostVolume('/home/me/project');
 * const server = new FuseServer(volume, { exclusive: false });
 */
export function hostVolume(directory: string, options: VolumeOptions = {}): HostVolume {
  const user = { uid: process.geteuid!(), gid: process.getegid!() };
  const owners = new Owners(user, options.shownAs ?? { uid: 0, gid: 0 });
  const volume = new Volume(directory, options.readOnly === true, owners);
  return Object.assign(volume, { [Symbol.dispose]: () => volume.close() });
}
