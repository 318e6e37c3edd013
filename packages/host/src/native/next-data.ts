import type { Extent } from '@anole/vfs';
import { hasNative, native, systemError } from './koffi.ts';

const lseek = native('int64_t lseek(int fd, int64_t offset, int whence)');

/** linux/fs.h */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** Above so many extents the rest of a file is taken for data. */
const EXTENTS_MAX = 2 ** 16;

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

/**
 * Ranges of an open file of `size` bytes that are in no hole, in order. Moves the position of the descriptor. All is
 * one range without koffi, and where the file system has no answer.
 */
export function dataExtents(fd: number, size: number): Extent[] {
  const extents: Extent[] = [];
  if (!hasNative()) return [{ offset: 0, length: size }];
  for (let at = 0; at < size; ) {
    const data = Number(lseek(fd, at, SEEK_DATA));
    if (data < 0 && systemError().code === 'ENXIO') break;
    const hole =
      data < 0 || extents.length === EXTENTS_MAX ? -1 : Number(lseek(fd, data, SEEK_HOLE));
    // Whoever has no answer, or writes meanwhile, has data.
    const offset = data < 0 ? at : data;
    at = hole > offset ? Math.min(hole, size) : size;
    if (offset < at) extents.push({ offset, length: at - offset });
  }
  return extents;
}
