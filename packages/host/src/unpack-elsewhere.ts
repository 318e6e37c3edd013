import type { WalkEntry } from '@anole/vfs';

/**
 * Writes files of a tree that is being unpacked, in other threads: they read the same tree on their
 * own. Owned by the caller.
 */
export interface Elsewhere {
  /** Bytes written so far. */
  readonly bytes: number;
  /** Where the tree goes, and whether files get its owners: before the first `put`. */
  begin(base: string, owners: boolean): void;
  /**
   * Takes a file over whose directory is there. Gives what to wait for before the next one, where
   * enough is under way.
   */
  put(entry: WalkEntry): Promise<void> | undefined;
  /** Resolves when all is written; rejects where anything failed. */
  finish(): Promise<void>;
  /** Resolves when no more is written, whatever was still to come. */
  stop(): Promise<void>;
}
