import type { Spool } from './compress/spool.ts';
import type { Inode } from './inode.ts';

/**
 * Data that were written before the rest was laid out: compressed files and chunks. They lie right
 * behind the superblock, or on a device of their own.
 */
export interface StoredData {
  /** In whole blocks, from byte 0 on. */
  readonly spool: Spool;
  readonly blocks: number;
  /** Ends of files that lie beside their inodes. */
  readonly ends: Spool | undefined;
  /** The inode that holds fragments. */
  readonly packed: Inode | undefined;
}
