import { damaged } from '../../errors.ts';
import type { InodeInfo } from '../inode.ts';

/** What the index says of one logical cluster. */
export interface Lcluster {
  readonly number: number;
  /** One of `lclusterTypes`. */
  readonly type: number;
  /** Heads: byte of the lcluster at which the pcluster's data begin. */
  readonly clusterOffset: number;
  /** Heads: block of the pcluster. */
  readonly block: number;
  /** Heads: the pcluster holds more than is referred to. */
  readonly partial: boolean;
  /** Nonheads: lclusters back to the head; 1 where `blocks` stands in the place of a distance. */
  readonly back: number;
  /** Nonheads: lclusters on to the next head or the end of the file. */
  readonly ahead: number;
  /** First nonhead of a big pcluster: its blocks; else 0. */
  readonly blocks: number;
  /** Byte after the index, or pack of indexes, in the space in which the inode lies. */
  readonly end: number;
}

/** Raised where indexes contradict each other. */
export function badIndex(inode: InodeInfo, number: number, reason: string, offset: number): never {
  throw damaged(
    'EROFS_BAD_INODE',
    `Cannot read inode ${inode.nid}: lcluster ${number} ${reason}`,
    offset,
  );
}
