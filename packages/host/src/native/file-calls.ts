import { constants } from 'node:fs';
import type { Timestamp } from '@anole/vfs';
import type { StatRows } from '../stat-rows.ts';
import { native, systemError } from './koffi.ts';

const statx = native(
  'int statx(int fd, const char *name, int flags, unsigned int mask, void *out)',
);
const close = native('int close(int fd)');
const openat = native('int openat(int fd, const char *name, int flags, unsigned int mode)');
const linkat = native(
  'int linkat(int from, const char *path, int to, const char *name, int flags)',
);
const futimens = native('int futimens(int fd, const void *times)');
const utimensat = native('int utimensat(int fd, const char *path, const void *times, int flags)');

/** Opens a file without a name in a directory: linux/fcntl.h, Node has not the flag itself. */
export const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** linux/fcntl.h, linux/stat.h */
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_SYMLINK_FOLLOW = 0x400;
const AT_NO_AUTOMOUNT = 0x800;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const STATX_INO = 0x100;
/** What Node adds, too. */
const O_CLOEXEC = 0o2000000;

const out = new Uint8Array(256);
const words = new Uint32Array(out.buffer);

/**
 * Looks a name up in an open directory, not through a link, and fills a row. False where it is not
 * there. The name is one component, and well-formed, or empty for the descriptor itself.
 */
export function statInto(rows: StatRows, row: number, directory: number, name: string): boolean {
  const flags = name === '' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (statx(directory, name, flags, STATX_BASIC_STATS, out) < 0) {
    const error = systemError();
    if (error.code === 'ENOENT') return false;
    throw error;
  }
  rows.setStatx(row, words);
  return true;
}

/** Of an open file. Numbers of 2^53 and more are not told apart from others. */
export function inodeOf(fd: number): number {
  if (statx(fd, '', AT_EMPTY_PATH, STATX_INO, out) < 0) throw systemError();
  return words[8]! + 2 ** 32 * words[9]!;
}

/**
 * Opens a name of an open directory. The name is one component, and well-formed.
 *
 * @param mode of a file that is made by that
 */
export function openIn(directory: number, name: string, flags: number, mode: number): number {
  const fd = openat(directory, name, flags | O_CLOEXEC, mode);
  if (fd < 0) throw systemError();
  return fd;
}

/** Closes what {@link openIn} opened. */
export function closeNative(fd: number): void {
  if (close(fd) < 0) throw systemError();
}

/**
 * Gives an open file that was made without a name (O_TMPFILE) one, which nothing may have. open(2), "O_TMPFILE", has
 * why that goes by way of /proc: by the descriptor alone it takes a capability.
 *
 * @param path well-formed
 */
export function nameOpenFile(fd: number, path: string): void {
  const failed = linkat(AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0;
  if (failed) throw systemError();
}

/** Two of struct timespec, of the last access and of the last change: seconds of 64 bits, nanoseconds. */
const times = new Uint32Array(8);

/** Gives an open file, or what a path that is well-formed stands for, one time for both. */
export function setTimesOf(file: number | string, { seconds, nanoseconds }: Timestamp): void {
  times[0] = times[4] = seconds;
  times[1] = times[5] = Math.floor(seconds / 2 ** 32);
  times[2] = times[6] = nanoseconds;
  const failed =
    typeof file === 'number'
      ? futimens(file, times)
      : utimensat(AT_FDCWD, file, times, AT_SYMLINK_NOFOLLOW);
  if (failed < 0) throw systemError();
}
