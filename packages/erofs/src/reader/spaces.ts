import { damaged } from '../errors.ts';
import { IN_METABOX } from '../layout/nid.ts';
import type { Metadata } from './metadata.ts';

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
