import type { FileType, Stat, TreeNode } from '@anole/vfs';
import type { StoredChunk } from './chunks.ts';

/** What the writer knows of one inode. The scan fills the first half, the layout the second. */
export interface Inode {
  readonly node: TreeNode;
  readonly stat: Stat;
  readonly type: FileType;
  /** One of its names, without a leading slash; empty for the root. */
  readonly path: string;
  /** Number of its first name, in the order of names, from 1 on. */
  readonly ino: number;
  nlink: number;
  /** Bytes of file data, link target or directory records. */
  size: number;
  /** What stands between inode and data: header and entries, or nothing. */
  readonly xattrs: Uint8Array;
  readonly target: Uint8Array | undefined;
  directory: Directory | undefined;
  /** Of a file, in the order of its bytes. Known once the blob has been written. */
  chunks: readonly StoredChunk[];

  /** Bytes from the start of the inodes' area, one block of which is left free. */
  offset: number;
  /** In units of 32 bytes. */
  nid: number;
  /** Of directories and links: whether the last part block stands beside the inode. */
  inline: boolean;
  /** Of directories and links: where the other blocks are, as `offset`. */
  dataOffset: number;
}

export interface Directory {
  /** In the order of their bytes, `.` and `..` among them. */
  readonly names: readonly string[];
  readonly children: readonly Inode[];
}
