import { AnoleError } from '@anole/bytes';
import { errnoOf, type VfsCode } from '@anole/vfs';

/** Linux errnos that requests answer beside those of Trees (asm-generic/errno.h). */
export const Errno = {
  ENOENT: 2,
  EIO: 5,
  ENXIO: 6,
  EEXIST: 17,
  EINVAL: 22,
  ENOTTY: 25,
  EFBIG: 27,
  EROFS: 30,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENODATA: 61,
  EPROTO: 71,
  EOPNOTSUPP: 95,
  ESTALE: 116,
} as const;

export type FuseCode = 'FUSE_BAD_OPTION' | 'FUSE_BAD_REQUEST' | 'FUSE_BAD_STATE' | 'FUSE_REFUSED';

/** A request that is answered with `errno`. */
export class FuseError extends AnoleError {
  declare readonly code: FuseCode;
  readonly errno: number;

  constructor(code: FuseCode, message: string, errno: number) {
    super(code, message, { details: { errno } });
    this.errno = errno;
  }
}

/** Bytes that no kernel sends. */
export function badRequest(problem: string): FuseError {
  return new FuseError('FUSE_BAD_REQUEST', `Cannot serve the request: ${problem}`, Errno.EINVAL);
}

/** A request that is well-formed and is not served. */
export function refused(errno: number, request: string): FuseError {
  return new FuseError('FUSE_REFUSED', `Cannot serve ${request}`, errno);
}

/** What the kernel is told of an error. */
export function errnoFor(error: unknown): number {
  if (!AnoleError.is(error)) return Errno.EIO;
  if (error instanceof FuseError) return error.errno;
  if (error.code === 'STRUCT_OUT_OF_RANGE') return Errno.EINVAL;
  // Numbers beyond 2^53: only offsets and sizes can be so large in good faith.
  if (error.code === 'STRUCT_BAD_VALUE') return Errno.EFBIG;
  return errnoOf[error.code as VfsCode] ?? Errno.EIO;
}
