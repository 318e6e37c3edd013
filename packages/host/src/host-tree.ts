import { constants, fstatSync, readlinkSync } from 'node:fs';
import { decodeName } from '@anole/bytes';
import {
  compareNames,
  type DirectoryEntry,
  type Extent,
  type Stat,
  type Tree,
  type TreeNode,
  VfsError,
} from '@anole/vfs';
import { Descriptors } from './descriptors.ts';
import { DIRECTORY, DirectoryCalls, FILE, pathIn } from './directory-calls.ts';
import { HostError, hostError, systemCode } from './errors.ts';
import { readInto } from './file-source.ts';
import { deviceNumber, deviceOf, InodeNumbers } from './host-stat.ts';
import { type Listing, listDirectory } from './listing.ts';
import { dataExtents } from './native/next-data.ts';
import { type FileRows, KeyRows, StatRows, VERSION_WORDS } from './stat-rows.ts';
import { readXattrDump, type XattrDump } from './xattr-dump.ts';

export interface HostTreeOptions {
  /**
   * Whether to read extended attributes. Node has no call for them: `getfattr` (Debian's `attr`)
   * is run once, for the whole tree, when the tree is opened. Default false: there are none.
   */
  readonly xattrs?: boolean;
  /**
   * Whether files are read as they are by then. Default false: one that was written to since it was listed, or
   * is while it is read, is `VFS_STALE`. That is told by its size and its time of writing: who writes to a file in
   * place and sets its time back (`rsync --inplace --times`) is not noticed. The time of change would tell, but is
   * another after a hard link or a change of mode, too.
   */
  readonly live?: boolean;
}

/** A Tree over a directory of this machine. Close it. */
export interface HostTree extends Tree {
  /** The directory, as it was named. */
  readonly directory: string;
  readonly root: HostNode;
  close(): void;
  [Symbol.dispose](): void;
}

/**
 * A directory of this machine as a Tree to read, as it is when it is listed. All answers are
 * synchronous. Symbolic links are never followed, also not where one takes a directory's place
 * meanwhile: every component is opened on its own, from the directory above it.
 *
 * Mount points below are entered; inode numbers are those of the first file system, others are
 * counted from 2^52.
 *
 * @throws HostError `HOST_NOT_FOUND`, `HOST_NOT_DIRECTORY`, `HOST_NO_TOOL` (no getfattr). Its nodes
 * raise VfsErrors.
 * @example
 * using tree = hostTree('/etc');
 * console.log(tree.root.list().map(({ name }) => name));
 */
export function hostTree(path: string, options: HostTreeOptions = {}): HostTree {
  const host = new Host(path, options.live ?? false);
  try {
    if (options.xattrs) host.dump = readXattrDump(path);
  } catch (error) {
    host.close();
    throw error;
  }
  const close = () => host.close();
  return { directory: path, root: host.root, close, [Symbol.dispose]: close };
}

/** Calls about files after which native ones are worth loading. */
const PATIENCE = 2000;

class Host {
  readonly root: HostNode;
  dump: XattrDump | undefined;
  private readonly numbers: InodeNumbers;
  readonly rootPath: string;
  private readonly calls = new DirectoryCalls(PATIENCE);
  private readonly opened: StatRows;
  private readonly directories = new Descriptors<HostNode>(64, (fd) => this.calls.close(fd));
  private readonly files = new Descriptors<HostNode>(64, (fd) => this.calls.close(fd));
  private readonly version = new Uint32Array(VERSION_WORDS);
  readonly isLive: boolean;
  private closed = false;

  constructor(path: string, isLive: boolean) {
    this.rootPath = path;
    this.isLive = isLive;
    try {
      const fd = this.calls.openPath(path, constants.O_RDONLY | constants.O_DIRECTORY);
      const raw = fstatSync(fd, { bigint: true });
      this.numbers = new InodeNumbers(deviceNumber(deviceOf(raw.dev)));
      this.opened = new StatRows(1, this.numbers);
      const rows = new StatRows(1, this.numbers);
      rows.set(0, raw);
      this.root = new HostNode(this, undefined, '', rows, 0);
      this.directories.of(this.root, () => fd);
    } catch (error) {
      throw hostError(error, `open the directory ${path}`);
    }
  }

  close(): void {
    this.closed = true;
    this.directories.closeAll();
    this.files.closeAll();
  }

  node(parent: HostNode, name: string): HostNode | undefined {
    const rows = new StatRows(1, this.numbers);
    const found = this.guard(
      () => this.calls.stat(rows, 0, this.directory(parent), name),
      () => `look up ${name}`,
    );
    return found ? new HostNode(this, parent, name, rows, 0) : undefined;
  }

  /** What a node is, asked anew. */
  stat(node: HostNode): Stat {
    const again = node.parent && this.node(node.parent, node.name);
    if (again && node.isSame(again)) return again.stat;
    throw replaced('look at', node);
  }

  list(node: HostNode): DirectoryEntry[] {
    return this.guard(
      () => this.entries(node, listDirectory(this.calls, this.directory(node))),
      () => `list ${node.path()}`,
    );
  }

  entries(node: HostNode, { names, words }: Listing): DirectoryEntry[] {
    const rows = new StatRows(words, this.numbers);
    const entries = (names === '' ? [] : names.split('/')).map((name, row) => {
      const found = new HostNode(this, node, name, rows, row);
      return { name, type: found.type, ino: rows.ino(row), node: found };
    });
    return entries.sort((a, b) => compareNames(a.name, b.name));
  }

  readLink(node: HostNode): string {
    return this.guard(
      () => {
        const path = pathIn(this.directory(node.parent!), node.name);
        return decodeName(readlinkSync(path, { encoding: 'buffer' }));
      },
      () => `read the link ${node.path()}`,
    );
  }

  read(node: HostNode, offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, node.size - offset)));
    const read = this.readInto(node, offset, bytes);
    return read === bytes.length ? bytes : bytes.subarray(0, read);
  }

  readInto(node: HostNode, offset: number, target: Uint8Array): number {
    return this.guard(
      () => {
        const fd = this.descriptor(node);
        const count = readInto(fd, target, offset, () => node.path());
        // Behind reading: so what was read until now is what was listed.
        if (!this.isLive) this.checkUnwritten(node, fd);
        return count;
      },
      () => `read ${node.path()}`,
    );
  }

  extents(node: HostNode): Extent[] {
    return this.guard(
      () => {
        const fd = this.descriptor(node);
        const extents = dataExtents(fd, node.size);
        this.checkUnwritten(node, fd);
        return extents;
      },
      () => `look for holes in ${node.path()}`,
    );
  }

  private checkUnwritten(node: HostNode, fd: number): void {
    this.calls.statOpen(this.opened, fd);
    node.putVersion(this.version, 0);
    if (this.opened.isVersion(0, this.version, 0)) return;
    const path = node.path();
    throw new VfsError('VFS_STALE', `Cannot read ${path}: it was written to meanwhile`);
  }

  private descriptor(node: HostNode): number {
    return this.files.of(node, () => this.open(node, FILE));
  }

  /** Its descriptor, valid until the next call. */
  private directory(node: HostNode): number {
    if (this.closed)
      throw new HostError('HOST_IO', `Cannot use ${this.rootPath}: it has been closed`);
    return this.directories.of(node, () => this.open(node, DIRECTORY));
  }

  private open(node: HostNode, flags: number): number {
    const { parent, name } = node;
    // The root may only have fallen out of the descriptors that are kept.
    const fd =
      parent === undefined
        ? this.calls.openPath(this.rootPath, flags & ~constants.O_NOFOLLOW)
        : this.calls.open(this.directory(parent), name, flags);
    this.calls.statOpen(this.opened, fd);
    if (node.is(this.opened)) return fd;
    this.calls.close(fd);
    throw replaced('open', node);
  }

  private guard<T>(call: () => T, action: () => string): T {
    try {
      return call();
    } catch (error) {
      if (error instanceof VfsError) throw error;
      const code = vfsCodes[systemCode(error) ?? ''] ?? 'VFS_IO';
      const why = error instanceof Error ? error.message : String(error);
      throw new VfsError(code, `Cannot ${action()}: ${why}`, { cause: error });
    }
  }
}

function replaced(action: string, node: HostNode): VfsError {
  return new VfsError(
    'VFS_STALE',
    `Cannot ${action} ${node.path()}: another file has taken its place`,
  );
}

const vfsCodes: Readonly<Record<string, VfsError['code']>> = {
  EACCES: 'VFS_ACCESS_DENIED',
  ENAMETOOLONG: 'VFS_NAME_TOO_LONG',
  ENOENT: 'VFS_NOT_FOUND',
  // O_NOFOLLOW met a symbolic link where a directory or a file was.
  ELOOP: 'VFS_IO',
  ENOTDIR: 'VFS_NOT_DIRECTORY',
  EPERM: 'VFS_NOT_PERMITTED',
};

/** One file of a {@link HostTree}. Everything is answered synchronously. */
export class HostNode implements TreeNode {
  readonly parent: HostNode | undefined;
  readonly name: string;
  private readonly host: Host;
  private readonly rows: FileRows;
  private readonly row: number;

  constructor(host: Host, parent: HostNode | undefined, name: string, rows: FileRows, row: number) {
    this.host = host;
    this.parent = parent;
    this.name = name;
    this.rows = rows;
    this.row = row;
  }

  get stat(): Stat {
    return this.rows.stat(this.row) ?? this.host.stat(this);
  }

  get type(): Stat['type'] {
    return this.rows.type(this.row);
  }

  get size(): number {
    return this.rows.size(this.row);
  }

  lookup(name: string): HostNode | undefined {
    this.check('directory', 'VFS_NOT_DIRECTORY');
    if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) return undefined;
    return this.host.node(this, name);
  }

  list(): readonly DirectoryEntry[] {
    this.check('directory', 'VFS_NOT_DIRECTORY');
    return this.host.list(this);
  }

  /** What {@link list} gives, of a listing that was made elsewhere. */
  entriesOf(listing: Listing): readonly DirectoryEntry[] {
    this.check('directory', 'VFS_NOT_DIRECTORY');
    return this.host.entries(this, listing);
  }

  condense(entries: readonly DirectoryEntry[]): (place: number, name: string) => HostNode {
    const keys = new KeyRows(entries.length);
    for (const [place, { node }] of entries.entries()) {
      const { rows, row } = node as HostNode;
      if (rows instanceof StatRows) keys.set(place, rows, row);
    }
    let last: HostNode | undefined;
    return (place, name) => {
      // The same one while a file is read: descriptors are kept by nodes.
      if (last?.row !== place) last = new HostNode(this.host, this, name, keys, place);
      return last;
    };
  }

  readLink(): string {
    this.check('symlink', 'VFS_NOT_SYMLINK');
    return this.host.readLink(this);
  }

  read(offset: number, length: number): Uint8Array {
    this.check('file', 'VFS_NOT_FILE');
    return this.host.read(this, offset, length);
  }

  readInto(offset: number, target: Uint8Array): number {
    this.check('file', 'VFS_NOT_FILE');
    return this.host.readInto(this, offset, target);
  }

  /** Only what has less allocated than it has bytes is opened; what may grow meanwhile is one range. */
  extents(): readonly Extent[] {
    this.check('file', 'VFS_NOT_FILE');
    const { size } = this;
    if (!this.host.isLive && this.rows.isSparse(this.row)) return this.host.extents(this);
    return size === 0 ? [] : [{ offset: 0, length: size }];
  }

  xattrs(): ReadonlyMap<string, Uint8Array> {
    return this.host.dump?.get(this.path()) ?? none;
  }

  /** Whether a row is about the same file. */
  is(rows: FileRows, row = 0): boolean {
    const met = rows.identity(row);
    return this.rows.identity(this.row).every((word, at) => word === met[at]);
  }

  isSame(other: HostNode): boolean {
    return this.is(other.rows, other.row);
  }

  /** Puts what tells this file from all others, and from itself once written to, to `words`, from `at` on. */
  putVersion(words: Uint32Array, at: number): void {
    this.rows.putVersion(this.row, words, at);
  }

  /** The directory that the tree is made of, as it was named. */
  get tree(): string {
    return this.host.rootPath;
  }

  /** From the root of the tree, without a leading slash. */
  path(): string {
    const above = this.parent?.path() ?? '';
    return above === '' ? this.name : `${above}/${this.name}`;
  }

  private check(type: Stat['type'], code: VfsError['code']): void {
    if (this.type === type) return;
    throw new VfsError(code, `Cannot use ${this.path()} as a ${type}: it is a ${this.type}`);
  }
}

const none: ReadonlyMap<string, Uint8Array> = new Map();
