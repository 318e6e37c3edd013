import type { Awaitable } from '@anole/bytes';
import type { TreeNode } from '@anole/vfs';

/**
 * Files of the kernel's own computer, which it reads in the place of a tree's (FUSE_PASSTHROUGH, Linux 6.9). Each has
 * a number (`backing_id`) that whoever has the device of the mount gets from the kernel.
 */
export interface Backings {
  /**
   * A file of the tree is about to be opened. The kernel has a file either read here or passed, and under one number,
   * as long as anybody has it open: other answers make opening fail (EIO).
   *
   * @returns the number of the file that has the same bytes; 0 where they are read here; undefined where no file will
   * ever have a number, so that the kernel need not ask any more. Never undefined once there was a number.
   */
  open(node: TreeNode): Awaitable<number | undefined>;
  /**
   * Whoever opened a file has it no more.
   *
   * @param id as `open` gave it
   * @param isRepeated whether the kernel says so again, perhaps to another server than before
   */
  close(node: TreeNode, id: number, isRepeated: boolean): void;
}
