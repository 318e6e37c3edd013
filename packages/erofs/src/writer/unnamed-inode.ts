import type { Timestamp, TreeNode } from '@anole/vfs';
import { Inode } from './inode.ts';

/** A file of an image that no directory names. */
export interface Unnamed {
  readonly ino: number;
  /** For messages. */
  readonly name: string;
  readonly size: number;
  readonly time: Timestamp;
  readonly read: TreeNode['read'];
}

/** Its inode, not measured yet. */
export function unnamedInode({ ino, name, size, time, read }: Unnamed): Inode {
  const make = Inode.maker(ino, 1);
  const inode = make({
    // Nothing else of it is asked for.
    node: { read } as TreeNode,
    type: 'file',
    mode: 0o777,
    uid: 0,
    gid: 0,
    size,
    mtime: time,
    rdev: undefined,
    name,
    above: undefined,
  });
  inode.nlink = 1;
  return inode;
}
