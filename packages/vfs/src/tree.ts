import type { Awaitable } from '@anole/bytes';

/** All that a file can be. Their order is kept in no file. */
export const allFileTypes = [
  'file',
  'directory',
  'symlink',
  'character',
  'block',
  'fifo',
  'socket',
] as const;

export type FileType = (typeof allFileTypes)[number];

/** A point in time since 1970-01-01 UTC; seconds may be negative, nanoseconds are 0 to 999,999,999. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface Stat {
  /** Unique within the Tree: two names of one file (hard links) share it. At least 1. */
  readonly ino: number;
  readonly type: FileType;
  /** Permission bits with set-uid, set-gid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file, length of a link's target; for directories whatever the Tree says. */
  readonly size: number;
  readonly nlink: number;
  readonly mtime: Timestamp;
  /** Device number of character and block devices. */
  readonly rdev?: DeviceNumber;
  /** Where the Tree keeps them; else `mtime` stands for both. */
  readonly atime?: Timestamp;
  readonly ctime?: Timestamp;
  /** Bytes of storage that a file takes, where the Tree knows (holes take none); else its size. */
  readonly allocated?: number;
}

export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

export interface DirectoryEntry {
  /** One path component, by `decodeName`: never empty, `.`, `..`, and without `/` and NUL. */
  readonly name: string;
  readonly type: FileType;
  readonly ino: number;
  /** The child itself, where the Tree had to look at it anyway: as it was then. */
  readonly node?: TreeNode;
}

/**
 * A file system to read: a host directory, a stack of layers, unpacked packages, an EROFS image, an
 * overlay of Trees. Whatever consumes a Tree works with every one of them.
 *
 * Names are strings by `decodeName` (lossless for any bytes); so are link targets.
 */
export interface Tree {
  readonly root: TreeNode;
  /** Frees what the Tree holds open; its nodes must not be used afterwards. */
  close?(): Awaitable<void>;
}

/**
 * One inode of a Tree. Methods that do not fit the node's type raise `VFS_NOT_DIRECTORY`,
 * `VFS_NOT_FILE` or `VFS_NOT_SYMLINK`.
 */
export interface TreeNode {
  /** Attributes as they are now. A read-only Tree always gives the same; treat as a value. */
  readonly stat: Stat;
  /** The child of that name, or undefined. `.` and `..` are not looked up. */
  lookup(name: string): Awaitable<TreeNode | undefined>;
  /**
   * All children in a stable order, without `.` and `..`. Where `types` are given, others need not be listed, but may be:
   * for who would pass over most of a large directory.
   */
  list(types?: ReadonlySet<FileType>): Awaitable<readonly DirectoryEntry[]>;
  /**
   * Lets go of what `entries`, all with nodes, that this directory gave take. Gives what makes their nodes
   * again, by their places among them and their names: for who holds very many, to read bytes of some later. Attributes are
   * then asked for anew. Absent where a Tree gains nothing by it.
   */
  condense?(entries: readonly DirectoryEntry[]): (place: number, name: string) => TreeNode;
  readLink(): Awaitable<string>;
  /**
   * Bytes from `offset`, short only at the end of the file. The result may alias the Tree's memory:
   * do not write to it, and copy it before keeping it.
   */
  read(offset: number, length: number): Awaitable<Uint8Array>;
  /**
   * Reads as `read` does, but into `target`, as much as that has room for. Returns how many bytes there
   * were. Absent where the Tree gains nothing by it, or not while the file is as it is.
   */
  readonly readInto?: ((offset: number, target: Uint8Array) => Awaitable<number>) | undefined;
  /** Extended attributes by full name (`user.x`, `security.capability`). Do not modify. */
  xattrs(): Awaitable<ReadonlyMap<string, Uint8Array>>;
  /**
   * Ranges of a file that may hold data, in order; what lies between reads as zeros. Absent where
   * the Tree knows of no holes.
   */
  extents?(): Awaitable<readonly Extent[]>;
  /** The node of another Tree that this one stands for, where it gives the same bytes. */
  readonly origin?: TreeNode;
}

export interface Extent {
  readonly offset: number;
  readonly length: number;
}
