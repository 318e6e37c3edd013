import { type CallOptions, encodeName, isPromise } from '@anole/bytes';
import type { Stat, Tree, TreeNode } from '@anole/vfs';
import { ErofsError } from '../errors.ts';
import { NAME_MAX } from '../layout/dirent.ts';
import { NO_BLOCK } from '../layout/inode.ts';
import { Pacer } from '../pause.ts';
import { type Chunks, chunksOf } from './chunks.ts';
import { directorySize, nameLength, sortNames } from './directory.ts';
import type { Inode } from './inode.ts';
import type { Owners, Settings } from './options.ts';
import type { XattrPool } from './xattrs.ts';

/**
 * Reads a whole tree but for the data of its files. The result is in the order in which inodes are
 * laid out: the root, then the children of one directory after those of another.
 *
 * @throws ErofsError `EROFS_CANNOT_STORE`
 */
export async function scan(
  tree: Tree,
  settings: Settings,
  pool: XattrPool,
  { signal, onProgress }: CallOptions,
): Promise<Inode[]> {
  const inodes: Inode[] = [];
  const pacer = new Pacer();
  const byIno = new Map<number, Inode>();
  const add = async (node: TreeNode, path: string): Promise<Inode> => {
    const turn = pacer.turn();
    if (turn) await turn;
    signal?.throwIfAborted();
    const inode = await inodeOf(node, path, inodes.length + 1, settings, pool);
    inodes.push(inode);
    byIno.set(inode.stat.ino, inode);
    return inode;
  };
  const root = await add(tree.root, '/');
  if (root.stat.type !== 'directory') throw cannotStore('/', `the root is a ${root.stat.type}`);
  const pending: [directory: Inode, parent: Inode][] = [[root, root]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [inode, parent] = next;
    const subdirectories = await scanDirectory(inode, parent, settings, byIno, add);
    // Last in, first out: the first subdirectory is next.
    for (const child of subdirectories.reverse()) pending.push([child, inode]);
    onProgress?.({ step: 'scan files', done: inodes.length, unit: 'items', detail: inode.path });
  }
  return inodes;
}

async function scanDirectory(
  inode: Inode,
  parent: Inode,
  settings: Settings,
  byIno: ReadonlyMap<number, Inode>,
  add: (node: TreeNode, path: string) => Promise<Inode>,
): Promise<Inode[]> {
  const listed = inode.node.list();
  const entries = isPromise(listed) ? await listed : listed;
  const pathOf = (name: string) => (inode.path === '/' ? `/${name}` : `${inode.path}/${name}`);
  const { exclude } = settings;
  const kept = exclude ? entries.filter(({ name }) => !exclude(pathOf(name).slice(1))) : entries;
  const names = sortNames(['.', '..', ...kept.map((entry) => entry.name)]);
  const nodes = new Map(entries.map((entry) => [entry.name, entry.node]));
  const children: Inode[] = [];
  const subdirectories: Inode[] = [];
  for (const name of names) {
    if (name === '.' || name === '..') {
      children.push(name === '.' ? inode : parent);
      continue;
    }
    const path = pathOf(name);
    checkName(name, path);
    const looked = nodes.get(name) ?? inode.node.lookup(name);
    const node = isPromise(looked) ? await looked : looked;
    if (node === undefined) throw changed(path, 'it is gone');
    const known = byIno.get(node.stat.ino);
    const child = known ?? (await add(node, path));
    children.push(child);
    if (child.stat.type !== 'directory') {
      child.nlink++;
      continue;
    }
    if (known) throw cannotStore(path, `it is the directory ${known.path} again`);
    subdirectories.push(child);
  }
  inode.directory = { parent, names, children };
  inode.nlink = 2 + subdirectories.length;
  inode.size = directorySize(names, settings.blockSize);
  return subdirectories;
}

const noXattrs: ReadonlyMap<string, Uint8Array> = new Map();

async function inodeOf(
  node: TreeNode,
  path: string,
  ino: number,
  settings: Settings,
  pool: XattrPool,
): Promise<Inode> {
  const stat = ownedStat(node.stat, settings.owners);
  checkStat(stat, path);
  const found = settings.xattrs ? node.xattrs() : noXattrs;
  const attributes = isPromise(found) ? await found : found;
  const target = stat.type === 'symlink' ? encodeName(await node.readLink()) : undefined;
  if (target?.length === 0) throw cannotStore(path, 'its target is empty');
  return {
    node,
    stat,
    mtime: settings.time ?? stat.mtime,
    ino,
    path,
    nlink: 0,
    size: target?.length ?? (stat.type === 'file' ? stat.size : 0),
    xattrs: attributes.size === 0 ? [] : pool.itemsOf(attributes, path),
    target,
    directory: undefined,
    chunks: await chunksOfFile(node, settings),
    compressed: undefined,
    extended: false,
    xattrSize: 0,
    tailSize: 0,
    nid: 0,
    startBlock: NO_BLOCK,
    blocks: 0,
  };
}

function ownedStat(stat: Stat, owners: Owners): Stat {
  const uid = (owners.uid ?? stat.uid) + (owners.uidOffset ?? 0);
  const gid = (owners.gid ?? stat.gid) + (owners.gidOffset ?? 0);
  return uid === stat.uid && gid === stat.gid ? stat : { ...stat, uid, gid };
}

async function chunksOfFile(node: TreeNode, { blockSize }: Settings): Promise<Chunks | undefined> {
  const { type, size } = node.stat;
  // A hole of less than a block cannot be kept.
  if (type !== 'file' || node.extents === undefined || size <= blockSize) return undefined;
  return chunksOf(size, await node.extents(), blockSize);
}

function checkName(name: string, path: string): void {
  const length = nameLength(name);
  if (length === 0 || name.includes('/') || name.includes('\0')) {
    throw cannotStore(path, 'its name is not one path component');
  }
  if (length > NAME_MAX) throw cannotStore(path, `its name has ${length} bytes, at most 255 fit`);
}

function checkStat(stat: Stat, path: string): void {
  const { size, uid, gid, mode, mtime } = stat;
  const fits =
    Number.isSafeInteger(size) &&
    size >= 0 &&
    uid >= 0 &&
    uid <= 0xffffffff &&
    gid >= 0 &&
    gid <= 0xffffffff &&
    (mode & ~0o7777) === 0 &&
    Number.isSafeInteger(mtime.seconds) &&
    mtime.nanoseconds >= 0 &&
    mtime.nanoseconds < 1e9;
  if (!fits) throw cannotStore(path, 'its attributes are out of range');
  const { rdev } = stat;
  if (rdev && (rdev.major > 0xfff || rdev.minor > 0xfffff)) {
    throw cannotStore(path, `its device number is ${rdev.major}:${rdev.minor}`);
  }
}

export function cannotStore(path: string, reason: string): ErofsError {
  return new ErofsError('EROFS_CANNOT_STORE', `Cannot store ${path} in an image: ${reason}`, {
    details: { path },
  });
}

export function changed(path: string, what: string): ErofsError {
  return new ErofsError('EROFS_SOURCE_CHANGED', `Cannot store ${path}: ${what}`, {
    details: { path },
    hint: 'the tree changed while it was read: try again when nothing writes to it',
  });
}
