import type { Awaitable } from '@anole/bytes';
import type { TreeNode } from '@anole/vfs';

/**
 * Makes files of a tree that is being unpacked, also in other threads, which read the same tree on their
 * own. Owned by the caller.
 */
export interface Elsewhere {
  /** Files made so far. */
  readonly entries: number;
  /** Bytes written so far. */
  readonly bytes: number;
  /** How files are made: before the first `put`. */
  begin(making: Making): void;
  /**
   * Takes over what a directory, which has been made, lists as files, but for those of which more must be known than
   * what they hold: of several names, or with attributes that are wanted. Gives what to wait for before the next one.
   */
  put(path: string, directory: TreeNode): Promise<void> | undefined;
  /** Resolves when all is written, to the files that are left, in an order of the tree's. Rejects where anything failed. */
  finish(): Promise<readonly LeftFile[]>;
  /** Resolves when no more is written, whatever was still to come. */
  stop(): Promise<void>;
}

export interface Making {
  /** The directory that the tree is written into. */
  readonly base: string;
  /** Whether files get the owners of the tree. */
  readonly owners: boolean;
  /** Whether extended attributes are wanted. */
  readonly xattrs: boolean;
}

export interface LeftFile {
  readonly path: string;
  node(): Awaitable<TreeNode>;
}
