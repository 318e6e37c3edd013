import { type Awaitable, chain, encodeName, type Flow, flow, wait } from '@anole/bytes';
import { VfsError } from '../errors.ts';
import { checkName, checkTarget } from '../names.ts';
import type { DirectoryEntry, TreeNode } from '../tree.ts';
import type { NewNode, WritableNode } from '../writable.ts';
import { ENTRY_COST } from './budget.ts';
import { OverlayNode } from './node.ts';

export { rename } from './rename.ts';

export function lookup(node: OverlayNode, name: string): Awaitable<OverlayNode | undefined> {
  checkDirectory(node);
  const own = node.names.get(name);
  if (own !== undefined) return own ?? undefined;
  if (node.lower === undefined) return undefined;
  return chain(node.lower.lookup(name), (lower) => found(node, name, lower));
}

function found(parent: OverlayNode, name: string, lower?: TreeNode): OverlayNode | undefined {
  // While the lower tree was asked, the name may have been changed here.
  const own = parent.names.get(name);
  if (own !== undefined) return own ?? undefined;
  if (lower === undefined) return undefined;
  const above = parent.lowerPath;
  const node = parent.tree.wrap(lower, above ? `${above}/${name}` : name);
  if (node.stat.type === 'directory') node.parent = parent;
  return node;
}

/** Lower names in the lower order, then those made here in the order of making. */
export function list(node: OverlayNode): Awaitable<readonly DirectoryEntry[]> {
  checkDirectory(node);
  if (node.listing !== undefined) return node.listing;
  return flow(function* () {
    const lower = node.lower === undefined ? [] : yield* wait(node.lower.list());
    const entries: DirectoryEntry[] = [];
    for (const { name, type, ino } of lower) {
      if (!node.names.has(name)) entries.push({ name, type, ino: node.tree.inoOf(ino) });
    }
    for (const [name, own] of node.names) {
      if (own !== null) entries.push({ name, type: own.stat.type, ino: own.stat.ino });
    }
    node.listing = entries;
    return entries;
  });
}

export function* create(parent: OverlayNode, name: string, node: NewNode): Flow<OverlayNode> {
  yield* checkFree(parent, name);
  const made = OverlayNode.make(parent.tree, node);
  try {
    setName(parent, name, made);
  } catch (error) {
    made.release();
    throw error;
  }
  return made;
}

export function* link(parent: OverlayNode, name: string, node: WritableNode): Flow<void> {
  const own = ofSameTree(parent, node);
  if (own.stat.type === 'directory') {
    throw new VfsError('VFS_NOT_PERMITTED', 'Cannot give a directory a second name');
  }
  yield* checkFree(parent, name);
  own.own();
  setName(parent, name, own);
}

export function* unlink(parent: OverlayNode, name: string): Flow<void> {
  const node = yield* child(parent, name);
  if (node.stat.type === 'directory') {
    throw new VfsError('VFS_IS_DIRECTORY', `Cannot unlink ${name}: it is a directory`);
  }
  yield* removeName(parent, name, node);
}

export function* removeDirectory(parent: OverlayNode, name: string): Flow<void> {
  const node = yield* child(parent, name);
  if (node.stat.type !== 'directory') {
    throw new VfsError('VFS_NOT_DIRECTORY', `Cannot remove ${name}: it is no directory`);
  }
  yield* checkEmpty(node, name);
  yield* removeName(parent, name, node);
}

/** The child that must be there. */
export function* child(parent: OverlayNode, name: string): Flow<OverlayNode> {
  checkName(name);
  const node = yield* wait(lookup(parent, name));
  if (node === undefined) throw new VfsError('VFS_NOT_FOUND', `Cannot find ${name}`);
  return node;
}

export function* checkEmpty(node: OverlayNode, name: string): Flow<void> {
  const entries = yield* wait(list(node));
  if (entries.length === 0) return;
  throw new VfsError('VFS_NOT_EMPTY', `Cannot remove ${name}: ${entries.length} entries are in it`);
}

function* checkFree(parent: OverlayNode, name: string): Flow<void> {
  checkName(name);
  checkDirectory(parent);
  if (parent.removed) {
    throw new VfsError('VFS_NOT_FOUND', `Cannot make ${name}: its directory was removed`);
  }
  if ((yield* wait(lookup(parent, name))) === undefined) return;
  throw new VfsError('VFS_EXISTS', `Cannot make ${name}: the name is in use`);
}

/** Lets a free name stand for `node`, and counts the name. */
export function setName(parent: OverlayNode, name: string, node: OverlayNode): void {
  if (!parent.names.has(name)) parent.tree.budget.take(nameCost(name));
  write(parent, name, node);
  const isDirectory = node.stat.type === 'directory';
  node.restat({ nlink: isDirectory ? 2 : node.stat.nlink + 1 });
  touch(parent, isDirectory ? 1 : 0);
  if (isDirectory) node.parent = parent;
}

/** Lets `name` stand for nothing, and uncounts it. */
export function* removeName(parent: OverlayNode, name: string, node: OverlayNode): Flow<void> {
  node.own();
  yield* clear(parent, name);
  const isDirectory = node.stat.type === 'directory';
  node.restat({ nlink: isDirectory ? 0 : Math.max(0, node.stat.nlink - 1) });
  node.removed = isDirectory;
  touch(parent, isDirectory ? -1 : 0);
}

/** Says that the names of a directory changed, and by how many its subdirectories did. */
export function touch(parent: OverlayNode, subdirectories: number): void {
  const { nlink } = parent.stat;
  // Below 2 the lower tree does not count subdirectories, and so nobody does.
  const counted = nlink < 2 ? nlink : Math.max(2, nlink + subdirectories);
  parent.restat({ mtime: parent.tree.now(), nlink: counted });
}

/** Writes one name, charging for it even beyond the limit. */
export function put(parent: OverlayNode, name: string, node: OverlayNode | null): void {
  if (!parent.names.has(name)) parent.tree.budget.force(nameCost(name));
  write(parent, name, node);
}

function write(parent: OverlayNode, name: string, node: OverlayNode | null): void {
  parent.own();
  // Deleted first, so that a name made anew is listed last.
  parent.names.delete(name);
  parent.names.set(name, node);
  parent.listing = undefined;
}

/** Takes a name out of sight: a mark is needed only where the lower directory has it too. */
export function* clear(parent: OverlayNode, name: string): Flow<void> {
  const below = parent.lower === undefined ? undefined : yield* wait(parent.lower.lookup(name));
  if (below !== undefined) return put(parent, name, null);
  if (parent.names.delete(name)) parent.tree.budget.take(-nameCost(name));
  parent.listing = undefined;
}

export function ofSameTree(parent: OverlayNode, node: WritableNode): OverlayNode {
  if (node instanceof OverlayNode && node.tree === parent.tree) return node;
  throw new VfsError('VFS_CROSS_DEVICE', 'Cannot name a node of another tree');
}

export function checkDirectory(node: OverlayNode): void {
  const { type } = node.stat;
  if (type === 'directory') return;
  throw new VfsError('VFS_NOT_DIRECTORY', `Cannot look into a ${type}`);
}

export function nameCost(name: string): number {
  return ENTRY_COST + name.length;
}

export function targetSize(target = ''): number {
  checkTarget(target);
  return encodeName(target).length;
}
