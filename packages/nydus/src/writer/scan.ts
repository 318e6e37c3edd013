import { type CallOptions, encodeName } from '@anole/bytes';
import {
  directorySize,
  encodeXattr,
  NAME_MAX,
  nameLength,
  sortNames,
  XATTR_HEADER_SIZE,
  XATTR_UNIT,
} from '@anole/erofs/format';
import type { Stat, Tree, TreeNode } from '@anole/vfs';
import { RafsError } from '../errors.ts';
import type { Inode } from './inode.ts';

export const BLOCK_SIZE = 4096;

/** An inode's attributes take so many units at most: their number has 16 bits. */
const XATTR_UNITS_MAX = 0xffff;
const TARGET_MAX = 4095;

interface ScanSettings {
  /** Whether extended attributes are stored. */
  readonly xattrs: boolean;
}

export interface Scanned {
  /** The root, then the children of one directory after those of another. */
  readonly inodes: readonly Inode[];
  readonly names: number;
}

/**
 * Reads a tree but for its files' data, in the order of nydus-image: the children of a directory, then
 * those of each directory among them.
 *
 * @throws RafsError `RAFS_CANNOT_STORE`, `RAFS_SOURCE_CHANGED`; ErofsError `EROFS_CANNOT_STORE`
 */
export async function scan(
  tree: Tree,
  settings: ScanSettings,
  options: CallOptions,
): Promise<Scanned> {
  const scanner = new Scanner(settings, options);
  const root = await scanner.add(tree.root, '');
  if (root.stat.type !== 'directory') throw cannotStore('', `the root is a ${root.stat.type}`);
  const pending: [directory: Inode, parent: Inode][] = [[root, root]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [directory, parent] = next;
    const below = await scanner.children(directory, parent);
    // Last in, first out: the first subdirectory is next.
    for (const child of below.reverse()) pending.push([child, directory]);
  }
  return { inodes: scanner.inodes, names: scanner.names };
}

class Scanner {
  readonly inodes: Inode[] = [];
  names = 0;
  readonly #settings: ScanSettings;
  readonly #options: CallOptions;
  readonly #byIno = new Map<number, Inode>();

  constructor(settings: ScanSettings, options: CallOptions) {
    this.#settings = settings;
    this.#options = options;
  }

  /** A name of a node, whose inode is a new one, or that of another name. */
  async add(node: TreeNode, path: string): Promise<Inode> {
    this.#options.signal?.throwIfAborted();
    const ino = ++this.names;
    const known = this.#byIno.get(node.stat.ino);
    if (known !== undefined) {
      if (known.directory !== undefined || node.stat.type === 'directory') {
        throw cannotStore(path, `it is the directory ${known.path} again`);
      }
      known.nlink++;
      return known;
    }
    const inode = await inodeOf(node, path, ino, this.#settings);
    this.#byIno.set(node.stat.ino, inode);
    this.inodes.push(inode);
    return inode;
  }

  async children(inode: Inode, parent: Inode): Promise<Inode[]> {
    const entries = await inode.node.list();
    const names = sortNames(['.', '..', ...entries.map(({ name }) => name)]);
    const children: Inode[] = [];
    const below: Inode[] = [];
    for (const name of names) {
      if (name === '.' || name === '..') {
        children.push(name === '.' ? inode : parent);
        continue;
      }
      const path = inode.path === '' ? name : `${inode.path}/${name}`;
      checkName(name, path);
      const node = await inode.node.lookup(name);
      if (node === undefined) throw changed(path, 'it is gone');
      const child = await this.add(node, path);
      children.push(child);
      if (child.stat.type === 'directory') below.push(child);
    }
    inode.directory = { names, children };
    inode.nlink = 2 + below.length;
    inode.size = directorySize(names, BLOCK_SIZE);
    const { onProgress } = this.#options;
    onProgress?.({ step: 'scan files', done: this.names, unit: 'items', detail: inode.path });
    return below;
  }
}

async function inodeOf(
  node: TreeNode,
  path: string,
  ino: number,
  { xattrs }: ScanSettings,
): Promise<Inode> {
  const { stat } = node;
  checkStat(stat, path);
  const target = stat.type === 'symlink' ? encodeName(await node.readLink()) : undefined;
  if (target && (target.length === 0 || target.length > TARGET_MAX)) {
    throw cannotStore(path, `its target has ${target.length} bytes`);
  }
  return {
    node,
    stat,
    type: stat.type,
    path,
    ino,
    nlink: 1,
    size: target?.length ?? (stat.type === 'file' ? stat.size : 0),
    xattrs: xattrs ? encodeXattrs(await node.xattrs(), path) : new Uint8Array(0),
    target,
    directory: undefined,
    chunks: [],
    offset: 0,
    nid: 0,
    inline: false,
    dataOffset: 0,
  };
}

/** All beside the inode: RAFS shares none. In the order of their names. */
function encodeXattrs(xattrs: ReadonlyMap<string, Uint8Array>, path: string): Uint8Array {
  if (xattrs.size === 0) return new Uint8Array(0);
  const entries = sortNames([...xattrs.keys()]).map(
    (name) => encodeXattr(name, xattrs.get(name)!, path).bytes,
  );
  const size = entries.reduce((sum, { length }) => sum + length, XATTR_HEADER_SIZE);
  if (size > XATTR_UNITS_MAX * XATTR_UNIT) {
    throw cannotStore(path, `its attributes take ${size} bytes`);
  }
  // A filter of zeros: any attribute may be there.
  const bytes = new Uint8Array(size);
  let at = XATTR_HEADER_SIZE;
  for (const entry of entries) {
    bytes.set(entry, at);
    at += entry.length;
  }
  return bytes;
}

function checkName(name: string, path: string): void {
  const length = nameLength(name);
  if (length === 0 || name.includes('/') || name.includes('\0')) {
    throw cannotStore(path, 'its name is not one path component');
  }
  if (length > NAME_MAX) throw cannotStore(path, `its name has ${length} bytes, at most 255 fit`);
}

function checkStat({ size, uid, gid, mtime, rdev }: Stat, path: string): void {
  const isId = (id: number) => Number.isInteger(id) && id >= 0 && id <= 0xffffffff;
  const fits = isId(uid) && isId(gid) && size >= 0 && Number.isSafeInteger(mtime.seconds);
  if (!fits) throw cannotStore(path, 'its attributes are out of range');
  if (rdev && (rdev.major > 0xfff || rdev.minor > 0xfffff)) {
    throw cannotStore(path, `its device number is ${rdev.major}:${rdev.minor}`);
  }
}

function cannotStore(path: string, reason: string): RafsError {
  return new RafsError('RAFS_CANNOT_STORE', `Cannot store /${path} in an image: ${reason}`, {
    details: { path },
  });
}

export function changed(path: string, what: string): RafsError {
  return new RafsError('RAFS_SOURCE_CHANGED', `Cannot store /${path}: ${what}`, {
    details: { path },
    hint: 'the tree changed while it was read: try again when nothing writes to it',
  });
}
