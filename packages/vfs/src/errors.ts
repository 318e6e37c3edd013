import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type VfsCode =
  | 'VFS_ACCESS_DENIED'
  | 'VFS_CROSS_DEVICE'
  | 'VFS_EXISTS'
  | 'VFS_INVALID'
  | 'VFS_IO'
  | 'VFS_IS_DIRECTORY'
  | 'VFS_LOOP'
  | 'VFS_NAME_TOO_LONG'
  | 'VFS_NOT_DIRECTORY'
  | 'VFS_NOT_EMPTY'
  | 'VFS_NOT_FILE'
  | 'VFS_NOT_FOUND'
  | 'VFS_NOT_PERMITTED'
  | 'VFS_NOT_SUPPORTED'
  | 'VFS_NOT_SYMLINK'
  | 'VFS_NO_SPACE'
  | 'VFS_NO_XATTR'
  | 'VFS_READ_ONLY'
  | 'VFS_STALE'
  | 'VFS_TOO_LARGE';

/** Raised by Trees; each code has one errno, see {@link errnoOf}. */
export class VfsError extends AnoleError {
  declare readonly code: VfsCode;
  constructor(code: VfsCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** Linux errno of each code (asm-generic/errno-base.h, errno.h). */
export const errnoOf: Readonly<Record<VfsCode, number>> = {
  VFS_ACCESS_DENIED: 13,
  VFS_CROSS_DEVICE: 18,
  VFS_EXISTS: 17,
  VFS_INVALID: 22,
  VFS_IO: 5,
  VFS_IS_DIRECTORY: 21,
  VFS_LOOP: 40,
  VFS_NAME_TOO_LONG: 36,
  VFS_NOT_DIRECTORY: 20,
  VFS_NOT_EMPTY: 39,
  VFS_NOT_FILE: 22,
  VFS_NOT_FOUND: 2,
  VFS_NOT_PERMITTED: 1,
  VFS_NOT_SUPPORTED: 95,
  VFS_NOT_SYMLINK: 22,
  VFS_NO_SPACE: 28,
  VFS_NO_XATTR: 61,
  VFS_READ_ONLY: 30,
  VFS_STALE: 116,
  VFS_TOO_LARGE: 27,
};
