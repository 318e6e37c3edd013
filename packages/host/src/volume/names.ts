import {
  closeSync,
  constants,
  fchmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { encodeName } from '@anole/bytes';
import { type NewNode, type RenameOptions, VfsError, type WritableNode } from '@anole/vfs';
import { changeNew, checkMode } from './changes.ts';
import { VolumeNode } from './node.ts';

/** What can be an entry of a directory, and so leads nowhere but there. */
export function isName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

function checkName(name: string): void {
  if (!isName(name))
    throw new VfsError('VFS_INVALID', `Cannot use ${JSON.stringify(name)} as a name`);
}

export function create(parent: VolumeNode, name: string, wanted: NewNode): VolumeNode {
  parent.check('directory', 'VFS_NOT_DIRECTORY');
  checkName(name);
  checkMode(wanted.type, wanted.mode);
  const { volume } = parent;
  const path = volume.pathIn(parent, name);
  const fd = volume.withAccess(parent, () => make(path, wanted));
  try {
    const node = volume.find(parent, name);
    if (node === undefined) throw new VfsError('VFS_NOT_FOUND', `Cannot find ${name}, just made`);
    changeNew(node, wanted);
    if (fd === undefined) return node;
    // Kept, since the mode may forbid to open the file for writing again.
    fchmodSync(fd, wanted.mode);
    volume.keepData(node, fd, true);
    return node;
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw error;
  }
}

/** Makes what must not be there yet, and returns the descriptor of a file. */
function make(path: Buffer, wanted: NewNode): number | undefined {
  if (wanted.type === 'file') {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    return openSync(path, flags, 0o600);
  }
  if (wanted.type === 'directory') mkdirSync(path, 0o700);
  else if (wanted.type === 'symlink')
    symlinkSync(Buffer.from(encodeName(wanted.target ?? '')), path);
  else throw new VfsError('VFS_NOT_PERMITTED', `Cannot make a ${wanted.type} on the host`);
  return undefined;
}

export function link(parent: VolumeNode, name: string, node: WritableNode): void {
  checkName(name);
  const own = ofSameVolume(parent, node);
  if (own.type === 'directory' || own.parent === undefined) {
    throw new VfsError('VFS_NOT_PERMITTED', 'Cannot give a directory a second name');
  }
  const { volume } = parent;
  // That the name stands for the node still: to be opened, it is compared.
  volume.named(own);
  const from = volume.pathIn(own.parent, own.name);
  const to = volume.pathIn(parent, name);
  volume.withAccess(parent, () => linkSync(from, to));
}

export function unlink(parent: VolumeNode, name: string): void {
  checkName(name);
  const { volume } = parent;
  const raw = lstatSync(volume.pathIn(parent, name));
  if (raw.isDirectory())
    throw new VfsError('VFS_IS_DIRECTORY', `Cannot unlink the directory ${name}`);
  volume.keep(parent, name);
  volume.withAccess(parent, () => unlinkSync(volume.pathIn(parent, name)));
}

export function removeDirectory(parent: VolumeNode, name: string): void {
  checkName(name);
  const { volume } = parent;
  volume.keep(parent, name);
  volume.withAccess(parent, () => rmdirSync(volume.pathIn(parent, name)));
}

export function rename(
  parent: VolumeNode,
  name: string,
  newParent: WritableNode,
  newName: string,
  options: RenameOptions,
): void {
  checkName(name);
  checkName(newName);
  const to = ofSameVolume(parent, newParent);
  if (options.exchange) {
    throw new VfsError('VFS_INVALID', 'Cannot exchange two names on the host: Node has no call');
  }
  const { volume } = parent;
  const node = volume.find(parent, name);
  if (node === undefined) throw new VfsError('VFS_NOT_FOUND', `Cannot find ${name}`);
  const other = volume.find(to, newName);
  if (options.noReplace && other !== undefined) {
    throw new VfsError('VFS_EXISTS', `Cannot rename ${name}: ${newName} is in use`);
  }
  if (other === node) return;
  if (other !== undefined) volume.keep(to, newName);
  const move = () => renameSync(volume.pathIn(parent, name), volume.pathIn(to, newName));
  volume.withAccess(parent, () => volume.withAccess(to, move));
  volume.find(to, newName);
}

function ofSameVolume(parent: VolumeNode, node: WritableNode): VolumeNode {
  if (node instanceof VolumeNode && node.volume === parent.volume) return node;
  throw new VfsError('VFS_CROSS_DEVICE', 'Cannot name a node of another tree');
}
