import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  type Stats,
} from 'node:fs';
import { decodeName, encodeName } from '@anole/bytes';
import {
  compareNames,
  type DirectoryEntry,
  type Stat,
  type Tree,
  type TreeNode,
  VfsError,
} from '@anole/vfs';
import { Descriptors } from './descriptors.ts';
import { HostError, hostError, systemCode } from './errors.ts';
import { readInto } from './file-source.ts';
import { InodeNumbers, statOf } from './host-stat.ts';
import { readXattrDump, type XattrDump } from './xattr-dump.ts';

export interface HostTreeOptions {
  /**
   * Whether to read extended attributes. Node has no call for them: `getfattr` (Debian's `attr`)
   * is run once, for the whole tree, when the tree is opened. Default false: there are none.
   */
  readonly xattrs?: boolean;
}

/** A Tree over a directory of this machine. Close it. */
export interface HostTree extends Tree {
  readonly root: HostNode;
  close(): void;
  [Symbol.dispose](): void;
}

/**
 * A directory of this machine as a Tree to read, as it is when it is read. All answers are
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
  const host = new Host(path);
  try {
    if (options.xattrs) host.dump = readXattrDump(path);
  } catch (error) {
    host.close();
    throw error;
  }
  return { root: host.root, close: () => host.close(), [Symbol.dispose]: () => host.close() };
}

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

class Host {
  readonly root: HostNode;
  dump: XattrDump | undefined;
  private readonly numbers: InodeNumbers;
  private readonly rootPath: string;
  private readonly directories = new Descriptors<HostNode>(64);
  private readonly files = new Descriptors<HostNode>(64);
  private closed = false;

  constructor(path: string) {
    this.rootPath = path;
    try {
      const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
      const raw = fstatSync(fd, { bigint: true });
      this.numbers = new InodeNumbers(raw.dev);
      this.root = new HostNode(this, undefined, '', raw, this.numbers.of(raw));
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
    const raw = this.guard(
      () => lstatSync(this.pathOf(parent, name), { bigint: true, throwIfNoEntry: false }),
      () => `look up ${name}`,
    );
    return raw && new HostNode(this, parent, name, raw, this.numbers.of(raw));
  }

  list(node: HostNode): DirectoryEntry[] {
    return this.guard(
      () => {
        const entries: DirectoryEntry[] = [];
        for (const name of namesIn(this.pathOf(node))) {
          const found = this.node(node, name);
          // Between the listing and the look it may have gone.
          if (!found) continue;
          const { type, ino } = found.stat;
          entries.push({ name, type, ino, node: found });
        }
        return entries.sort((a, b) => compareNames(a.name, b.name));
      },
      () => `list ${node.path()}`,
    );
  }

  readLink(node: HostNode): string {
    return this.guard(
      () => decodeName(readlinkSync(this.pathOf(node.parent!, node.name), { encoding: 'buffer' })),
      () => `read the link ${node.path()}`,
    );
  }

  read(node: HostNode, offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, node.stat.size - offset)));
    const read = this.readInto(node, offset, bytes);
    return read === bytes.length ? bytes : bytes.subarray(0, read);
  }

  readInto(node: HostNode, offset: number, target: Uint8Array): number {
    return this.guard(
      () => readInto(this.descriptor(node), target, offset, () => node.path()),
      () => `read ${node.path()}`,
    );
  }

  private descriptor(node: HostNode): number {
    return this.files.of(node, () => this.open(node, FILE));
  }

  /** A path for system calls, of which only the last component is resolved on the way. */
  private pathOf(directory: HostNode, name?: string): string | Buffer {
    if (this.closed)
      throw new HostError('HOST_IO', `Cannot use ${this.rootPath}: it has been closed`);
    const fd = this.directories.of(directory, () => this.open(directory, DIRECTORY));
    const path = name === undefined ? `/proc/self/fd/${fd}` : `/proc/self/fd/${fd}/${name}`;
    return path.isWellFormed() ? path : Buffer.from(encodeName(path));
  }

  private open(node: HostNode, flags: number): number {
    const parent = node.parent;
    // The root may only have fallen out of the descriptors that are kept.
    const path = parent === undefined ? this.rootPath : this.pathOf(parent, node.name);
    const fd = openSync(path, parent === undefined ? flags & ~constants.O_NOFOLLOW : flags);
    if (node.is(fstatSync(fd))) return fd;
    closeSync(fd);
    throw new VfsError('VFS_IO', `Cannot open ${node.path()}: another file has taken its place`);
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

/** Names by `decodeName`: as strings from Node, unless one of them is no UTF-8. */
function namesIn(path: string | Buffer): string[] {
  const names = readdirSync(path, 'utf8');
  if (!names.some((name) => name.includes(REPLACEMENT))) return names;
  return readdirSync(path, { encoding: 'buffer' }).map(decodeName);
}

/** Stands for bytes that are no UTF-8; in a name for itself, too. */
const REPLACEMENT = '\ufffd';

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
  readonly stat: Stat;
  readonly parent: HostNode | undefined;
  readonly name: string;
  private readonly device: number;
  private readonly number: number;
  private readonly host: Host;

  constructor(
    host: Host,
    parent: HostNode | undefined,
    name: string,
    raw: BigIntStats,
    ino: number,
  ) {
    this.host = host;
    this.parent = parent;
    this.name = name;
    this.stat = statOf(raw, ino);
    this.device = Number(raw.dev);
    this.number = Number(raw.ino);
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

  xattrs(): ReadonlyMap<string, Uint8Array> {
    return this.host.dump?.get(this.path()) ?? none;
  }

  /** Whether that is the same file. */
  is({ dev, ino }: Stats): boolean {
    return ino === this.number && dev === this.device;
  }

  /** From the root of the tree, without a leading slash. */
  path(): string {
    const above = this.parent?.path() ?? '';
    return above === '' ? this.name : `${above}/${this.name}`;
  }

  private check(type: Stat['type'], code: VfsError['code']): void {
    if (this.stat.type === type) return;
    throw new VfsError(code, `Cannot use ${this.path()} as a ${type}: it is a ${this.stat.type}`);
  }
}

const none: ReadonlyMap<string, Uint8Array> = new Map();
