import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fsyncSync,
  ftruncateSync,
  lchownSync,
  lutimesSync,
  openSync,
  utimesSync,
} from 'node:fs';
import { type NewNode, type Stat, type StatChange, type Timestamp, VfsError } from '@anole/vfs';
import { writeAt } from '../write-at.ts';
import type { VolumeNode } from './node.ts';

const SET_ID = 0o6000;

export function change(node: VolumeNode, wanted: StatChange): void {
  const { volume } = node;
  const now = node.stat;
  if (wanted.size !== undefined) {
    node.check('file', 'VFS_NOT_FILE');
    ftruncateSync(volume.data(node, true), wanted.size);
  }
  changeOwner(node, wanted, now);
  if (wanted.mode !== undefined && wanted.mode !== now.mode && node.type !== 'symlink') {
    checkMode(node.type, wanted.mode & ~now.mode);
    chmodSync(volume.path(node), wanted.mode);
  }
  if (wanted.mtime !== undefined || wanted.atime !== undefined) {
    const { mtime, atime = mtime } = now;
    changeTimes(node, wanted.atime ?? atime, wanted.mtime ?? mtime);
  }
}

function changeOwner(node: VolumeNode, wanted: StatChange, now: Stat): void {
  const { uid = now.uid, gid = now.gid } = wanted;
  if (uid === now.uid && gid === now.gid) return;
  const { volume } = node;
  const owner = volume.owners.onHost({ uid, gid });
  if (owner === undefined) {
    const message = `Cannot give ${node.name} to ${uid}:${gid}: only root of the host could`;
    throw new VfsError('VFS_NOT_PERMITTED', message);
  }
  if (node.type === 'symlink') lchownSync(linkPath(node), owner.uid, owner.gid);
  else chownSync(volume.path(node), owner.uid, owner.gid);
}

/** Gives what was just made its owner and mode, which the umask of this process may have cut. */
export function changeNew(node: VolumeNode, { type, mode, uid, gid }: NewNode): void {
  const now = node.stat;
  const owner = node.volume.owners.onHost({ uid, gid });
  // Whom the host does not know as an owner, makes files that are its user's.
  if (owner !== undefined) changeOwner(node, { uid, gid }, now);
  if (type === 'directory') chmodSync(node.volume.path(node), mode);
}

/** Times on the host are set to the microsecond: Node passes them as floating-point seconds. */
function changeTimes(node: VolumeNode, atime: Timestamp, mtime: Timestamp): void {
  const { volume } = node;
  if (node.type === 'symlink') lutimesSync(linkPath(node), timeOf(atime), timeOf(mtime));
  else utimesSync(volume.path(node), timeOf(atime), timeOf(mtime));
}

/** Node takes a negative number for "now", but not a Date, which is exact to the millisecond. */
function timeOf({ seconds, nanoseconds }: Timestamp): number | Date {
  if (seconds < 0) return new Date(seconds * 1000 + nanoseconds / 1e6);
  return seconds + nanoseconds / 1e9;
}

/** The descriptor of a link cannot be followed to the link itself. */
function linkPath(node: VolumeNode): Buffer {
  return node.volume.pathIn(node.parent ?? node, node.name);
}

/**
 * A guest must not plant programs on the host that run with the rights of whoever owns them there.
 * Directories may be set-gid, which only decides the group of what is made in them.
 */
export function checkMode(type: string, added: number): void {
  if (type === 'directory' || (added & SET_ID) === 0) return;
  throw new VfsError('VFS_NOT_PERMITTED', 'Cannot make a file of the host set-uid or set-gid');
}

export function write(node: VolumeNode, offset: number, bytes: Uint8Array): void {
  const fd = node.volume.data(node, true);
  writeAt(fd, offset, bytes);
}

export function sync(node: VolumeNode): void {
  if (node.type === 'file') {
    const fd = node.volume.data(node, false);
    fsyncSync(fd);
    return;
  }
  const fd = openSync(node.volume.path(node), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
