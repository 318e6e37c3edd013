import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type RafsCode =
  /** A superblock, or a table it points to, that contradicts itself. */
  | 'RAFS_BAD_BOOTSTRAP'
  /** An entry of the blob table with impossible fields, or an image with two for one blob. */
  | 'RAFS_BAD_BLOB'
  /** The table of chunks of a blob, or the table of contents at its end, that does not add up. */
  | 'RAFS_BAD_BLOB_META'
  /** A chunk that lies outside its blob, or refers to what is not there. */
  | 'RAFS_BAD_CHUNK'
  /** A chunk that does not decode, or is not the one of its digest. */
  | 'RAFS_WRONG_CONTENT'
  /** An inode of RAFS v5 that contradicts itself. */
  | 'RAFS_BAD_INODE'
  /** A blob that nobody could give. */
  | 'RAFS_NO_BLOB'
  /** An image that uses what this version does not know. */
  | 'RAFS_UNSUPPORTED'
  /** Options of the writer that make no image. */
  | 'RAFS_BAD_OPTION'
  /** A tree that the format cannot hold. */
  | 'RAFS_CANNOT_STORE'
  /** A tree that changed while it was written. */
  | 'RAFS_SOURCE_CHANGED';

/** Raised by the reader and the writer of RAFS. */
export class RafsError extends AnoleError {
  declare readonly code: RafsCode;
  // Narrows the code's type.
  constructor(code: RafsCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** An error about bytes of an image or blob that contradict each other. */
export function damaged(
  code: RafsCode,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): RafsError {
  return new RafsError(code, message, {
    details,
    hint: 'the image is damaged or was made by something else: make or fetch it again',
  });
}
