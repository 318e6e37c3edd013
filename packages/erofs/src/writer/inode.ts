import type { DeviceNumber, FileType, Timestamp, TreeNode } from '@anole/vfs';
import { NO_BLOCK } from '../layout/inode.ts';
import type { Chunks } from './chunks.ts';
import type { Compressed } from './compress/compressed.ts';
import type { XattrItem } from './xattrs.ts';

/** What the scan finds out about an inode at once. */
export interface Found {
  readonly node: TreeNode;
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: Timestamp;
  readonly rdev: DeviceNumber | undefined;
  readonly ino: number;
  /** Of one of its names, the last component and the directory it is in. */
  readonly name: string;
  readonly above: Inode | undefined;
}

const noXattrs: readonly XattrItem[] = [];

/**
 * What the writer knows of one inode. The scan fills the first half, the plan the second. There is one
 * for each file of a tree: what can be told from others is not kept.
 */
export class Inode implements Found {
  readonly node: TreeNode;
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of file data, link target or directory records. */
  size: number;
  readonly mtime: Timestamp;
  readonly rdev: DeviceNumber | undefined;
  /** From 1, in the order of the scan. */
  readonly ino: number;
  readonly name: string;
  readonly above: Inode | undefined;
  /** Names found in the tree; of a directory 2 and one for each directory in it. */
  nlink = 0;
  xattrs: readonly XattrItem[] = noXattrs;
  target: Uint8Array | undefined = undefined;
  directory: Directory | undefined = undefined;
  /** Of a file with holes worth keeping. */
  chunks: Chunks | undefined = undefined;
  /** Of a file that is stored compressed. */
  compressed: Compressed | undefined = undefined;

  extended = false;
  /** Bytes of attributes after the inode. */
  xattrSize = 0;
  /** Bytes that lie beside the inode. */
  tailSize = 0;
  /** In units of 32 bytes from the start of the image. */
  nid = 0;
  /** First block of data, or NO_BLOCK. */
  startBlock: number = NO_BLOCK;
  /** Blocks of data. */
  blocks = 0;

  constructor(found: Found) {
    this.node = found.node;
    this.type = found.type;
    this.mode = found.mode;
    this.uid = found.uid;
    this.gid = found.gid;
    this.size = found.size;
    this.mtime = found.mtime;
    this.rdev = found.rdev;
    this.ino = found.ino;
    this.name = found.name;
    this.above = found.above;
  }

  /** One of its names, for messages. */
  get path(): string {
    const { above } = this;
    if (above === undefined) return this.name;
    return above.above === undefined ? `/${this.name}` : `${above.path}/${this.name}`;
  }
}

export interface Directory {
  readonly parent: Inode;
  /** Sorted by their bytes, `.` and `..` among them. */
  readonly names: readonly string[];
  /** Beside `names`. */
  readonly children: readonly Inode[];
}
