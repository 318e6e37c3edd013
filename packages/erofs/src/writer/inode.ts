import type { Stat, Timestamp, TreeNode } from '@anole/vfs';
import type { Chunks } from './chunks.ts';
import type { Compressed } from './compress/compressed.ts';
import type { XattrItem } from './xattrs.ts';

/** What the writer knows of one inode. The scan fills the first half, the plan the second. */
export interface Inode {
  readonly node: TreeNode;
  readonly stat: Stat;
  readonly mtime: Timestamp;
  /** From 1, in the order of the scan. */
  readonly ino: number;
  /** One of its names, for messages. */
  readonly path: string;
  /** Names found in the tree; of a directory 2 and one for each directory in it. */
  nlink: number;
  /** Bytes of file data, link target or directory records. */
  size: number;
  readonly xattrs: readonly XattrItem[];
  readonly target: Uint8Array | undefined;
  directory: Directory | undefined;
  /** Of a file with holes worth keeping. */
  chunks: Chunks | undefined;
  /** Of a file that is stored compressed. */
  compressed: Compressed | undefined;

  extended: boolean;
  /** Bytes of attributes after the inode. */
  xattrSize: number;
  /** Bytes that lie beside the inode. */
  tailSize: number;
  /** In units of 32 bytes from the start of the image. */
  nid: number;
  /** First block of data, or NO_BLOCK. */
  startBlock: number;
  /** Blocks of data. */
  blocks: number;
}

export interface Directory {
  readonly parent: Inode;
  /** Sorted by their bytes, `.` and `..` among them. */
  readonly names: readonly string[];
  /** Beside `names`. */
  readonly children: readonly Inode[];
}
