import type { Awaitable } from '@anole/bytes';
import type { DeviceNumber, FileType, Timestamp, Tree, TreeNode } from './tree.ts';

/** A Tree that can be changed: an overlay in memory, a host directory. */
export interface WritableTree extends Tree {
  readonly root: WritableNode;
  usage(): Awaitable<Usage>;
}

/** Whether a Tree can be changed. */
export function isWritable(tree: Tree | WritableTree): tree is WritableTree {
  return 'usage' in tree;
}

/** Space and inodes, for statfs. Blocks are of `blockSize` bytes. */
export interface Usage {
  readonly blockSize: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly files: number;
  readonly freeFiles: number;
}

export interface NewNode {
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev?: DeviceNumber;
  /** Target of a symbolic link. */
  readonly target?: string;
}

/** Attributes to change; what is absent stays. `size` truncates or extends with zeros. */
export interface StatChange {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly mtime?: Timestamp;
  readonly atime?: Timestamp;
}

export interface RenameOptions {
  /** Refuse with `VFS_EXISTS` where the new name exists (RENAME_NOREPLACE). */
  readonly noReplace?: boolean;
  /** Swap the two, both of which must exist (RENAME_EXCHANGE). */
  readonly exchange?: boolean;
}

/**
 * One inode of a {@link WritableTree}. The tree checks structure (exists, not empty, is a
 * directory, would loop), not permissions: those are the caller's. A node that lost its last name
 * stays usable until it is released.
 *
 * Codes: `VFS_EXISTS`, `VFS_NOT_FOUND`, `VFS_NOT_EMPTY`, `VFS_NOT_DIRECTORY`, `VFS_IS_DIRECTORY`,
 * `VFS_NOT_PERMITTED`, `VFS_READ_ONLY`, `VFS_NO_SPACE`, `VFS_CROSS_DEVICE`, `VFS_NO_XATTR`,
 * `VFS_TOO_LARGE`, and `VFS_INVALID`, also for a directory moved into itself, as rename(2) has it.
 */
export interface WritableNode extends TreeNode {
  lookup(name: string): Awaitable<WritableNode | undefined>;
  create(name: string, node: NewNode): Awaitable<WritableNode>;
  /** A file without a name (O_TMPFILE). Absent where the tree has no such thing. */
  createUnnamed?(node: NewNode): Awaitable<WritableNode>;
  /** Gives `node` of the same tree another name here. */
  link(name: string, node: WritableNode): Awaitable<void>;
  /** Removes a name of anything but a directory. */
  unlink(name: string): Awaitable<void>;
  /** Removes an empty directory. */
  removeDirectory(name: string): Awaitable<void>;
  rename(
    name: string,
    newParent: WritableNode,
    newName: string,
    options?: RenameOptions,
  ): Awaitable<void>;
  change(change: StatChange): Awaitable<void>;
  /** Writes all of `bytes`, which is not kept. Extends the file where needed. */
  write(offset: number, bytes: Uint8Array): Awaitable<void>;
  /** Makes a range read as zeros without changing the size (FALLOC_FL_PUNCH_HOLE). */
  punchHole(offset: number, length: number): Awaitable<void>;
  setXattr(name: string, value: Uint8Array, mode?: 'create' | 'replace'): Awaitable<void>;
  removeXattr(name: string): Awaitable<void>;
  /** Makes the file's data durable where the tree lives on a disk. */
  sync?(): Awaitable<void>;
  /** Says that nobody refers to the node any more: descriptors it held may be closed. */
  release?(): void;
}
