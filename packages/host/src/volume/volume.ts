import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  statfsSync,
} from 'node:fs';
import { encodeName } from '@anole/bytes';
import { type Usage, VfsError, type WritableTree } from '@anole/vfs';
import { hostError, systemCode } from '../errors.ts';
import { deviceNumber, deviceOf, InodeNumbers, identityOf, typeOf } from '../host-stat.ts';
import { DescriptorCache } from './descriptors.ts';
import { volumeError } from './errors.ts';
import { VolumeNode } from './node.ts';
import type { Owners } from './owners.ts';

/** asm-generic/fcntl.h, which Node does not list: a descriptor that only names a file. */
const O_PATH = 0o10000000;
const PATH = O_PATH | constants.O_NOFOLLOW;
const MAX_NAMED = 512;
const MAX_DATA = 128;
/** Files that were removed while in use, each with a descriptor. */
const MAX_REMOVED = 1024;

/**
 * What the nodes of one volume share: descriptors. A path handed to the system is always
 * `/proc/self/fd/N`, or one name below it, where N is a directory that was reached so from the root:
 * no `..`, symbolic link or rename on the host can lead out of the volume.
 */
export class Volume implements WritableTree {
  readonly root: VolumeNode;
  readonly readOnly: boolean;
  readonly owners: Owners;
  /** Nodes in use, by ino: so the names of a hard link meet in one node. */
  readonly #nodes = new Map<number, VolumeNode>();
  readonly #named = new DescriptorCache<VolumeNode>(MAX_NAMED);
  readonly #data = new DescriptorCache<VolumeNode>(MAX_DATA);
  readonly #rootFd: number;
  readonly #numbers: InodeNumbers;
  #closed = false;

  constructor(directory: string, readOnly: boolean, owners: Owners) {
    this.readOnly = readOnly;
    this.owners = owners;
    try {
      this.#rootFd = openSync(directory, O_PATH | constants.O_DIRECTORY);
    } catch (error) {
      throw hostError(error, `open the directory ${directory}`);
    }
    const raw = fstatSync(this.#rootFd, { bigint: true });
    this.#numbers = new InodeNumbers(deviceNumber(deviceOf(raw.dev)));
    this.root = this.#node(raw, undefined, '');
  }

  usage(): Usage {
    return this.guard('ask for free space', () => {
      const { bsize, blocks, bavail, files, ffree } = statfsSync(this.path(this.root));
      return { blockSize: bsize, blocks, freeBlocks: bavail, files, freeFiles: ffree };
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#named.closeAll();
    this.#data.closeAll();
    closeSync(this.#rootFd);
  }

  /** Runs one operation: failures of the system become coded, and descriptors are bounded again. */
  guard<T>(action: string, operation: () => T): T {
    if (this.#closed) throw new VfsError('VFS_IO', `Cannot ${action}: the volume is closed`);
    try {
      return operation();
    } catch (error) {
      throw volumeError(error, action);
    } finally {
      this.#named.trim();
      this.#data.trim();
    }
  }

  /** The node's own path; its last component is a descriptor and is followed to the very file. */
  path(node: VolumeNode): Buffer {
    return Buffer.from(`/proc/self/fd/${this.named(node)}`);
  }

  /** The path of a name in a directory, whatever stands there. */
  pathIn(directory: VolumeNode, name: string): Buffer {
    return Buffer.concat([this.path(directory), Buffer.from('/'), encodeName(name)]);
  }

  /** The node of a name, or undefined. Links are not followed. */
  find(parent: VolumeNode, name: string): VolumeNode | undefined {
    const look = { bigint: true, throwIfNoEntry: false } as const;
    const raw = this.withAccess(parent, () => lstatSync(this.pathIn(parent, name), look));
    return raw && this.#node(raw, parent, name);
  }

  inoOf(raw: BigIntStats): number {
    return this.#numbers.of(deviceNumber(deviceOf(raw.dev)), raw.ino);
  }

  #node(raw: BigIntStats, parent: VolumeNode | undefined, name: string): VolumeNode {
    const ino = this.inoOf(raw);
    let node = this.#nodes.get(ino);
    // A number that the host used again, for something else.
    if (node?.type !== typeOf(raw)) {
      node = new VolumeNode(this, ino, identityOf(raw), typeOf(raw));
      this.#nodes.set(ino, node);
    }
    if (parent !== undefined) {
      // By this name the node is reached from now on, also where its former one is gone.
      node.parent = parent;
      node.name = name;
      this.#named.unpin(node);
    }
    return node;
  }

  /** A descriptor that stands for the node, opened from the nearest directory above that has one. */
  named(node: VolumeNode): number {
    const missing: VolumeNode[] = [];
    let above: VolumeNode | undefined = node;
    let fd: number | undefined;
    for (; above !== undefined && fd === undefined; above = above.parent) {
      fd = above === this.root ? this.#rootFd : this.#named.get(above);
      if (fd === undefined) missing.push(above);
    }
    if (fd === undefined) throw new VfsError('VFS_NOT_FOUND', `Cannot reach ${node.name} any more`);
    for (const below of missing.reverse()) fd = this.#openNamed(below, fd);
    return fd;
  }

  #openNamed(node: VolumeNode, directory: number): number {
    const path = Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), encodeName(node.name)]);
    const fd = openSync(path, PATH);
    const raw = fstatSync(fd, { bigint: true });
    if (identityOf(raw) === node.identity && typeOf(raw) === node.type) {
      this.#named.set(node, fd);
      return fd;
    }
    closeSync(fd);
    throw new VfsError('VFS_NOT_FOUND', `Cannot reach ${node.name}: another file is in its place`);
  }

  /** Keeps a node that is about to lose its name, where somebody uses it. */
  keep(parent: VolumeNode, name: string): void {
    const raw = lstatSync(this.pathIn(parent, name), { bigint: true, throwIfNoEntry: false });
    if (raw === undefined || !this.#nodes.has(this.inoOf(raw))) return;
    const node = this.#node(raw, parent, name);
    if (node === this.root) return;
    this.named(node);
    this.#named.pin(node, MAX_REMOVED);
  }

  /** A descriptor to read or write a file's data. It stays open for the next call. */
  data(node: VolumeNode, write: boolean): number {
    const known = this.#data.get(node);
    if (known !== undefined && (node.dataWritable || !write)) return known;
    // Nonblocking, should a FIFO have got here in spite of the check of types.
    const flags = (write ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NONBLOCK;
    const fd = this.withAccess(node, () => openSync(this.path(node), flags));
    this.keepData(node, fd, write);
    return fd;
  }

  keepData(node: VolumeNode, fd: number, writable: boolean): void {
    this.#data.set(node, fd);
    node.dataWritable = writable;
  }

  /**
   * Runs a call that the mode of the user's own file may forbid: to the guest's root, and to whoever
   * holds the file open there, modes are no obstacle. They are widened for as long as the call takes.
   */
  withAccess<T>(node: VolumeNode, call: () => T): T {
    try {
      return call();
    } catch (error) {
      if (systemCode(error) !== 'EACCES') throw error;
      const raw = fstatSync(this.named(node), { bigint: true });
      const mode = Number(raw.mode & 0o7777n);
      const access = raw.isDirectory() ? 0o700 : 0o600;
      if (!this.owners.owns(Number(raw.uid)) || (mode & access) === access) throw error;
      chmodSync(this.path(node), mode | access);
      try {
        return call();
      } finally {
        chmodSync(this.path(node), mode);
      }
    }
  }

  release(node: VolumeNode): void {
    if (node === this.root) return;
    this.#named.close(node);
    this.#data.close(node);
    if (this.#nodes.get(node.ino) === node) this.#nodes.delete(node.ino);
  }
}
