import { hasNative, native, systemError } from './koffi.ts';

const lseek = native('int64_t lseek(int fd, int64_t offset, int whence)');

/** linux/fs.h */
const SEEK_DATA = 3;

/**
 * The first byte of an open file from `offset` on that is in no hole; undefined where only a hole follows. Moves the
 * position of the descriptor. Without koffi all are taken for data.
 */
export function nextData(fd: number, offset: number): number | undefined {
  if (!hasNative()) return offset;
  const found = Number(lseek(fd, offset, SEEK_DATA));
  if (found >= 0) return found;
  const error = systemError();
  if (error.code === 'ENXIO') return undefined;
  throw error;
}
