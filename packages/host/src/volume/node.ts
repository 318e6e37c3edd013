import { fstatSync, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { decodeName } from '@anole/bytes';
import {
  type DirectoryEntry,
  type FileType,
  type NewNode,
  type RenameOptions,
  type Stat,
  type StatChange,
  VfsError,
  type WritableNode,
} from '@anole/vfs';
import { statOf, typeOf } from '../host-stat.ts';
import { readAt } from '../read-at.ts';
import * as changes from './changes.ts';
import * as names from './names.ts';
import type { Volume } from './volume.ts';

const none: ReadonlyMap<string, Uint8Array> = new Map();

/** One inode of a host directory. */
export class VolumeNode implements WritableNode {
  readonly volume: Volume;
  readonly ino: number;
  /** Device and inode on the host: what is opened again must be the same. */
  readonly identity: string;
  readonly type: FileType;
  /** Where it was last found. */
  parent: VolumeNode | undefined;
  name = '';
  /** Whether the open descriptor for its data was opened for writing. */
  dataWritable = false;

  constructor(volume: Volume, ino: number, identity: string, type: FileType) {
    this.volume = volume;
    this.ino = ino;
    this.identity = identity;
    this.type = type;
  }

  get stat(): Stat {
    return this.volume.guard(`stat ${this.name}`, () => {
      const raw = fstatSync(this.volume.named(this), { bigint: true });
      const stat = statOf(raw, this.ino);
      return { ...stat, ...this.volume.owners.shown(stat) };
    });
  }

  lookup(name: string): VolumeNode | undefined {
    this.check('directory', 'VFS_NOT_DIRECTORY');
    if (!names.isName(name)) return undefined;
    return this.volume.guard(`look up ${name}`, () => this.volume.find(this, name));
  }

  list(): readonly DirectoryEntry[] {
    this.check('directory', 'VFS_NOT_DIRECTORY');
    return this.volume.guard(`list ${this.name}`, () =>
      this.volume.withAccess(this, () => {
        const all = readdirSync(this.volume.path(this), { encoding: 'buffer' });
        return all.flatMap((bytes) => this.#entry(decodeName(bytes)));
      }),
    );
  }

  #entry(name: string): DirectoryEntry[] {
    const look = { bigint: true, throwIfNoEntry: false } as const;
    const raw = lstatSync(this.volume.pathIn(this, name), look);
    // Between the listing and the look it may have gone.
    if (raw === undefined) return [];
    const ino = this.volume.inoOf(raw);
    return [{ name, type: typeOf(raw), ino }];
  }

  readLink(): string {
    this.check('symlink', 'VFS_NOT_SYMLINK');
    return this.volume.guard(`read the link ${this.name}`, () => {
      const path = this.volume.pathIn(this.parent ?? this, this.name);
      return decodeName(readlinkSync(path, { encoding: 'buffer' }));
    });
  }

  read(offset: number, length: number): Uint8Array {
    this.check('file', 'VFS_NOT_FILE');
    return this.volume.guard(`read ${this.name}`, () => {
      const fd = this.volume.data(this, false);
      const { size } = fstatSync(fd);
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
      return bytes.subarray(0, readAt(fd, offset, bytes));
    });
  }

  xattrs(): ReadonlyMap<string, Uint8Array> {
    return none;
  }

  create(name: string, node: NewNode): VolumeNode {
    return this.#change(`create ${name}`, () => names.create(this, name, node));
  }

  link(name: string, node: WritableNode): void {
    this.#change(`link ${name}`, () => names.link(this, name, node));
  }

  unlink(name: string): void {
    this.#change(`unlink ${name}`, () => names.unlink(this, name));
  }

  removeDirectory(name: string): void {
    this.#change(`remove ${name}`, () => names.removeDirectory(this, name));
  }

  rename(
    name: string,
    newParent: WritableNode,
    newName: string,
    options: RenameOptions = {},
  ): void {
    this.#change(`rename ${name}`, () => names.rename(this, name, newParent, newName, options));
  }

  change(change: StatChange): void {
    this.#change(`change ${this.name}`, () => changes.change(this, change));
  }

  write(offset: number, bytes: Uint8Array): void {
    this.check('file', 'VFS_NOT_FILE');
    this.#change(`write ${this.name}`, () => changes.write(this, offset, bytes));
  }

  /** Node has no call for it. Programs do without: they write zeros. */
  punchHole(): never {
    throw new VfsError('VFS_NOT_SUPPORTED', 'Cannot punch a hole into a file of the host');
  }

  setXattr(name: string): never {
    throw new VfsError('VFS_NOT_SUPPORTED', `Cannot set ${name} on a file of the host`);
  }

  removeXattr(name: string): never {
    throw new VfsError('VFS_NOT_SUPPORTED', `Cannot remove ${name} from a file of the host`);
  }

  sync(): void {
    if (this.type !== 'file' && this.type !== 'directory') return;
    this.volume.guard(`sync ${this.name}`, () => changes.sync(this));
  }

  release(): void {
    this.volume.release(this);
  }

  check(type: FileType, code: VfsError['code']): void {
    if (this.type === type) return;
    const isDirectory = type === 'file' && this.type === 'directory';
    throw new VfsError(
      isDirectory ? 'VFS_IS_DIRECTORY' : code,
      `Cannot use ${this.name} as a ${type}: it is a ${this.type}`,
    );
  }

  #change<T>(action: string, operation: () => T): T {
    if (this.volume.readOnly) throw new VfsError('VFS_READ_ONLY', `Cannot ${action}`);
    return this.volume.guard(action, operation);
  }
}
