import { damaged } from '../errors.ts';
import type { Metadata } from './metadata.ts';

/** Added to the nids of inodes that lie in the metabox. Real ones are far smaller. */
export const IN_METABOX = 2 ** 52;

/** A nid of the image, whose highest bit says that the inode lies in the metabox, as a number. */
export function nidOf(low: number, high: number): number {
  // What is too large for a nid is too large for any image: it is refused when it is used.
  const nid = Math.min((high & 0x7fffffff) * 2 ** 32 + low, IN_METABOX - 1);
  return high >= 0x80000000 ? nid + IN_METABOX : nid;
}

/** Where metadata lie: in the image, and perhaps in an inode of their own, the metabox. */
export class Spaces {
  readonly image: Metadata;
  metabox: Metadata | undefined;

  constructor(image: Metadata) {
    this.image = image;
  }

  /** @throws ErofsError `EROFS_BAD_INODE` where there is no metabox */
  of(nid: number): Metadata {
    if (nid < IN_METABOX) return this.image;
    if (this.metabox !== undefined) return this.metabox;
    throw damaged('EROFS_BAD_INODE', `Cannot read inode ${nid}: there is no metabox`, 0);
  }
}
