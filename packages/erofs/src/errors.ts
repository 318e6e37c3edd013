import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type ErofsCode =
  /** A directory block whose entries or names do not add up, or a directory with two parents. */
  | 'EROFS_BAD_DIRECTORY'
  /** An inode whose fields contradict each other or name nothing that exists. */
  | 'EROFS_BAD_INODE'
  /** A superblock with a wrong magic number, checksum, or impossible fields. */
  | 'EROFS_BAD_SUPERBLOCK'
  /** Extended attributes that do not add up. */
  | 'EROFS_BAD_XATTR'
  /** Compressed data that do not decode. */
  | 'EROFS_BAD_DATA'
  /** A file whose data lie on another device that was not given. */
  | 'EROFS_NO_DEVICE'
  /** An address that points outside the image. */
  | 'EROFS_OUT_OF_RANGE'
  /** An image that uses features this version does not know. */
  | 'EROFS_UNSUPPORTED'
  /** Options of the writer that make no image. */
  | 'EROFS_BAD_OPTION'
  /** A tree that the format cannot hold: a name, an attribute or a number that is too large. */
  | 'EROFS_CANNOT_STORE'
  /** A tree that changed while it was written. */
  | 'EROFS_SOURCE_CHANGED';

/** Raised by the reader and the writer. `details.offset` is the byte of the image it is about. */
export class ErofsError extends AnoleError {
  declare readonly code: ErofsCode;
  // Narrows the code's type.
  constructor(code: ErofsCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** An error about a place in the image. The message ends with the place. */
export function damaged(code: ErofsCode, message: string, offset: number): ErofsError {
  return new ErofsError(code, `${message} (at byte ${offset})`, {
    details: { offset },
    hint: 'the image is damaged or was made by something else: make or fetch it again',
  });
}
