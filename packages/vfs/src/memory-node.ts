import { type Awaitable, chain, memorySource, type Source } from '@anole/bytes';
import { VfsError } from './errors.ts';
import { compareNames } from './paths.ts';
import type {
  DeviceNumber,
  DirectoryEntry,
  Extent,
  FileType,
  Stat,
  Timestamp,
  TreeNode,
} from './tree.ts';

/** What a file's bytes come from. `extents` says where data may be; without, everywhere. */
export type FileContent = Source & { readonly extents?: readonly Extent[] };

/** Attributes of a new node, or changes to one; what is absent takes its default, or stays. */
export interface Attributes {
  /** Default 0o755 for directories, 0o777 for symbolic links, 0o644 for the others. */
  readonly mode?: number;
  /** Default 0. */
  readonly uid?: number;
  /** Default 0. */
  readonly gid?: number;
  /** Default 1970-01-01. */
  readonly mtime?: Timestamp;
  /** Default none. Replaces all; kept, not copied. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  readonly rdev?: DeviceNumber;
}

const noContent = memorySource(new Uint8Array(0));
const noXattrs: ReadonlyMap<string, Uint8Array> = new Map();
const epoch: Timestamp = { seconds: 0, nanoseconds: 0 };

/** One inode of a MemoryTree. Everything is answered synchronously but reads of foreign Sources. */
export class MemoryNode implements TreeNode {
  readonly ino: number;
  readonly type: FileType;
  /** Names of a directory. Change them through the tree only. */
  readonly children: Map<string, MemoryNode> | undefined;
  readonly target: string;
  private attributes: Required<Omit<Attributes, 'rdev'>>;
  private readonly rdev: DeviceNumber | undefined;
  private bytes: FileContent = noContent;
  private links = 0;
  private known: Stat | undefined;
  private entries: readonly DirectoryEntry[] | undefined;

  constructor(ino: number, type: FileType, attributes: Attributes, target = '') {
    this.ino = ino;
    this.type = type;
    this.target = target;
    this.children = type === 'directory' ? new Map() : undefined;
    this.rdev = attributes.rdev;
    this.attributes = {
      mode: attributes.mode ?? (type === 'directory' ? 0o755 : type === 'symlink' ? 0o777 : 0o644),
      uid: attributes.uid ?? 0,
      gid: attributes.gid ?? 0,
      mtime: attributes.mtime ?? epoch,
      xattrs: attributes.xattrs ?? noXattrs,
    };
  }

  get stat(): Stat {
    this.known ??= this.makeStat();
    return this.known;
  }

  /** The bytes of a file. */
  get content(): FileContent {
    if (this.type !== 'file') throw notA('VFS_NOT_FILE', 'read', this.type);
    return this.bytes;
  }

  set content(content: Uint8Array | FileContent) {
    if (this.type !== 'file') throw notA('VFS_NOT_FILE', 'write', this.type);
    this.bytes = content instanceof Uint8Array ? memorySource(content) : content;
    this.known = undefined;
  }

  /** Changes what is given; `rdev` stays as it is. */
  change(attributes: Attributes): void {
    const { mode, uid, gid, mtime, xattrs } = this.attributes;
    this.attributes = {
      mode: attributes.mode ?? mode,
      uid: attributes.uid ?? uid,
      gid: attributes.gid ?? gid,
      mtime: attributes.mtime ?? mtime,
      xattrs: attributes.xattrs ?? xattrs,
    };
    this.known = undefined;
  }

  lookup(name: string): MemoryNode | undefined {
    return this.names().get(name);
  }

  list(): readonly DirectoryEntry[] {
    this.entries ??= [...this.names()]
      .map(([name, { type, ino }]) => ({ name, type, ino }))
      .sort((a, b) => compareNames(a.name, b.name));
    return this.entries;
  }

  readLink(): string {
    if (this.type !== 'symlink') throw notA('VFS_NOT_SYMLINK', 'read the link of', this.type);
    return this.target;
  }

  read(offset: number, length: number): Awaitable<Uint8Array> {
    const content = this.content;
    const start = Math.min(offset, content.size);
    return content.read(start, Math.min(length, content.size - start));
  }

  readInto(offset: number, target: Uint8Array): Awaitable<number> {
    const { content } = this;
    const start = Math.min(offset, content.size);
    const part = target.subarray(0, content.size - start);
    if (content.readInto) {
      content.readInto(start, part);
      return part.length;
    }
    return chain(content.read(start, part.length), (bytes) => {
      part.set(bytes);
      return bytes.length;
    });
  }

  xattrs(): ReadonlyMap<string, Uint8Array> {
    return this.attributes.xattrs;
  }

  extents(): readonly Extent[] {
    const { size, extents } = this.content;
    return extents ?? (size === 0 ? [] : [{ offset: 0, length: size }]);
  }

  /** Gives a child a name; the tree has checked that it is free. */
  attach(name: string, child: MemoryNode): void {
    this.names().set(name, child);
    child.links++;
    this.forget(child);
  }

  detach(name: string): void {
    const child = this.names().get(name);
    if (child === undefined) return;
    this.names().delete(name);
    child.links--;
    this.forget(child);
  }

  private forget(child: MemoryNode): void {
    this.entries = undefined;
    this.known = undefined;
    child.known = undefined;
  }

  private names(): Map<string, MemoryNode> {
    if (this.children === undefined) throw notA('VFS_NOT_DIRECTORY', 'look into', this.type);
    return this.children;
  }

  private makeStat(): Stat {
    const { mode, uid, gid, mtime } = this.attributes;
    const { ino, type, rdev } = this;
    return {
      ino,
      type,
      mode,
      uid,
      gid,
      size: this.size(),
      nlink: this.nlink(),
      mtime,
      ...(rdev && { rdev }),
    };
  }

  private size(): number {
    if (this.type === 'symlink') return targetLength(this.target);
    return this.bytes.size;
  }

  private nlink(): number {
    if (this.children === undefined) return Math.max(this.links, 1);
    let directories = 0;
    for (const child of this.children.values()) if (child.children) directories++;
    return 2 + directories;
  }
}

/** Bytes of a name in UTF-8, an escaped byte counting as the one it stands for. */
function targetLength(target: string): number {
  let length = 0;
  for (const character of target) {
    const point = character.codePointAt(0)!;
    if (point < 0x80 || (point >= 0xdc80 && point <= 0xdcff)) length += 1;
    else length += point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return length;
}

function notA(
  code: 'VFS_NOT_DIRECTORY' | 'VFS_NOT_FILE' | 'VFS_NOT_SYMLINK',
  action: string,
  type: FileType,
): VfsError {
  return new VfsError(code, `Cannot ${action} the node: it is a ${type}`);
}
