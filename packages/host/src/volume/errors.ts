import { AnoleError } from '@anole/bytes';
import { type VfsCode, VfsError } from '@anole/vfs';
import { systemCode } from '../errors.ts';

const codes: Readonly<Record<string, VfsCode>> = {
  EACCES: 'VFS_ACCESS_DENIED',
  EDQUOT: 'VFS_NO_SPACE',
  EEXIST: 'VFS_EXISTS',
  EFBIG: 'VFS_TOO_LARGE',
  EINVAL: 'VFS_INVALID',
  EISDIR: 'VFS_IS_DIRECTORY',
  // O_NOFOLLOW met a symbolic link where a directory was.
  ELOOP: 'VFS_NOT_FOUND',
  EMLINK: 'VFS_NO_SPACE',
  ENAMETOOLONG: 'VFS_NAME_TOO_LONG',
  ENOENT: 'VFS_NOT_FOUND',
  ENOSPC: 'VFS_NO_SPACE',
  ENOTDIR: 'VFS_NOT_DIRECTORY',
  ENOTEMPTY: 'VFS_NOT_EMPTY',
  EOPNOTSUPP: 'VFS_NOT_SUPPORTED',
  EPERM: 'VFS_NOT_PERMITTED',
  EROFS: 'VFS_READ_ONLY',
  ETXTBSY: 'VFS_ACCESS_DENIED',
  EXDEV: 'VFS_CROSS_DEVICE',
};

/** The coded error for a failed system call; `action` completes "Cannot ". */
export function volumeError(error: unknown, action: string): unknown {
  if (AnoleError.is(error)) return error;
  const system = systemCode(error);
  if (system === undefined) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new VfsError(codes[system] ?? 'VFS_IO', `Cannot ${action}: ${why}`, {
    cause: error,
    details: { system },
  });
}
