import { type Flow, wait } from '@anole/bytes';
import { VfsError } from '../errors.ts';
import { checkName } from '../names.ts';
import type { RenameOptions, WritableNode } from '../writable.ts';
import {
  checkEmpty,
  child,
  clear,
  lookup,
  ofSameTree,
  put,
  removeName,
  touch,
} from './directory.ts';
import type { OverlayNode } from './node.ts';

/** rename(2), and renameat2(2) with RENAME_NOREPLACE and RENAME_EXCHANGE. */
export function* rename(
  parent: OverlayNode,
  name: string,
  newParent: WritableNode,
  newName: string,
  options: RenameOptions,
): Flow<void> {
  const to = ofSameTree(parent, newParent);
  const node = yield* child(parent, name);
  checkName(newName);
  const other = yield* wait(lookup(to, newName));
  if (options.noReplace && other !== undefined) {
    throw new VfsError('VFS_EXISTS', `Cannot rename ${name} to ${newName}: the name is in use`);
  }
  if (to.removed) {
    throw new VfsError('VFS_NOT_FOUND', `Cannot rename to ${newName}: its directory was removed`);
  }
  checkNoLoop(node, to, name);
  if (options.exchange) return exchange(parent, name, node, to, newName, other);
  if (other === node) return;
  if (other !== undefined) {
    if (isAbove(other, parent)) {
      throw new VfsError('VFS_NOT_EMPTY', `Cannot replace ${newName}: ${name} is in it`);
    }
    yield* replace(to, newName, node, other);
  }
  put(to, newName, node);
  yield* clear(parent, name);
  moved(parent, node, to);
}

function exchange(
  parent: OverlayNode,
  name: string,
  node: OverlayNode,
  to: OverlayNode,
  newName: string,
  other: OverlayNode | undefined,
): void {
  if (other === undefined) {
    throw new VfsError('VFS_NOT_FOUND', `Cannot exchange ${name} with ${newName}: it is not there`);
  }
  checkNoLoop(other, parent, newName);
  if (other === node) return;
  put(to, newName, node);
  put(parent, name, other);
  moved(parent, node, to);
  moved(to, other, parent);
}

/** Times, and the counts of subdirectories, after `node` went from one directory to another. */
function moved(parent: OverlayNode, node: OverlayNode, to: OverlayNode): void {
  const subdirectories = node.stat.type === 'directory' ? 1 : 0;
  if (subdirectories > 0) node.parent = to;
  node.restat({});
  touch(parent, -subdirectories);
  touch(to, subdirectories);
}

/** Removes what stands under the new name, where a rename may do so. */
function* replace(
  to: OverlayNode,
  newName: string,
  node: OverlayNode,
  other: OverlayNode,
): Flow<void> {
  const isDirectory = node.stat.type === 'directory';
  if (isDirectory && other.stat.type !== 'directory') {
    throw new VfsError('VFS_NOT_DIRECTORY', `Cannot replace ${newName}: it is no directory`);
  }
  if (!isDirectory && other.stat.type === 'directory') {
    throw new VfsError('VFS_IS_DIRECTORY', `Cannot replace ${newName}: it is a directory`);
  }
  if (isDirectory) yield* checkEmpty(other, newName);
  yield* removeName(to, newName, other);
}

function checkNoLoop(node: OverlayNode, to: OverlayNode, name: string): void {
  if (isAbove(node, to)) throw new VfsError('VFS_INVALID', `Cannot move ${name} into itself`);
}

/** Whether `below` is the directory `node` or lies in it. */
function isAbove(node: OverlayNode, below: OverlayNode): boolean {
  if (node.stat.type !== 'directory') return false;
  for (let above: OverlayNode | undefined = below; above !== undefined; above = above.parent) {
    if (above.stat.ino === node.stat.ino) return true;
  }
  return false;
}
