import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
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
import { InodeNumbers, identityOf, statOf } from './host-stat.ts';
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
const slash = encodeName('/');

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
    const raw = this.guard(`look up ${name}`, () =>
      lstatSync(this.pathOf(parent, name), { bigint: true, throwIfNoEntry: false }),
    );
    return raw && new HostNode(this, parent, name, raw, this.numbers.of(raw));
  }

  list(node: HostNode): DirectoryEntry[] {
    return this.guard(`list ${node.path()}`, () => {
      const names = readdirSync(this.pathOf(node), { encoding: 'buffer' });
      const entries: DirectoryEntry[] = [];
      for (const bytes of names) {
        const name = decodeName(bytes);
        const found = this.node(node, name);
        // Between the listing and the look it may have gone.
        if (!found) continue;
        const { type, ino } = found.stat;
        entries.push({ name, type, ino, node: found });
      }
      return entries.sort((a, b) => compareNames(a.name, b.name));
    });
  }

  readLink(node: HostNode): string {
    return this.guard(`read the link ${node.path()}`, () =>
      decodeName(readlinkSync(this.pathOf(node.parent!, node.name), { encoding: 'buffer' })),
    );
  }

  read(node: HostNode, offset: number, length: number): Uint8Array {
    return this.guard(`read ${node.path()}`, () => {
      const fd = this.files.of(node, () => this.open(node, FILE));
      const there = Math.max(0, Math.min(length, node.stat.size - offset));
      const bytes = new Uint8Array(there);
      const read = readInto(fd, bytes, offset, node.path());
      return read === there ? bytes : bytes.subarray(0, read);
    });
  }

  readInto(node: HostNode, offset: number, target: Uint8Array): number {
    return this.guard(`read ${node.path()}`, () => {
      const fd = this.files.of(node, () => this.open(node, FILE));
      return readInto(fd, target, offset, node.path());
    });
  }

  /** A path for system calls, of which only the last component is resolved on the way. */
  private pathOf(directory: HostNode, name?: string): Buffer {
    if (this.closed)
      throw new HostError('HOST_IO', `Cannot use ${this.rootPath}: it has been closed`);
    const fd = this.directories.of(directory, () => this.open(directory, DIRECTORY));
    const base = encodeName(`/proc/self/fd/${fd}`);
    return Buffer.concat(name === undefined ? [base] : [base, slash, encodeName(name)]);
  }

  private open(node: HostNode, flags: number): number {
    const parent = node.parent;
    // The root may only have fallen out of the descriptors that are kept.
    const path = parent === undefined ? this.rootPath : this.pathOf(parent, node.name);
    const fd = openSync(path, parent === undefined ? flags & ~constants.O_NOFOLLOW : flags);
    if (identityOf(fstatSync(fd, { bigint: true })) === node.identity) return fd;
    closeSync(fd);
    throw new VfsError('VFS_IO', `Cannot open ${node.path()}: another file has taken its place`);
  }

  private guard<T>(action: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      if (error instanceof VfsError) throw error;
      const code = vfsCodes[systemCode(error) ?? ''] ?? 'VFS_IO';
      const why = error instanceof Error ? error.message : String(error);
      throw new VfsError(code, `Cannot ${action}: ${why}`, { cause: error });
    }
  }
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
  readonly stat: Stat;
  readonly parent: HostNode | undefined;
  readonly name: string;
  readonly identity: string;
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
    this.identity = identityOf(raw);
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
