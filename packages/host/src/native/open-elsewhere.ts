import { check, lastError, native, nativeError } from './koffi.ts';

const fcntl = native('int fcntl(int fd, int command, int value)');

/** linux/fcntl.h, asm-generic/fcntl.h */
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_WRLCK = 1;
const F_UNLCK = 2;
/** A signal that is ignored by whoever does not handle it. */
const SIGURG = 23;

/**
 * Whether a file is open, or mounted as a file system, by anybody but this descriptor and its copies. It
 * sees what no table of mounts shows: a file system that an overlay, or another name space, still has.
 *
 * It asks for a lease, which the kernel gives to who has a file alone, and gives it back at once (fcntl(2),
 * "Leases"). For files of this user, or as root.
 *
 * @param fd not of a file that is being written by mappings
 * @throws HostError where the file system knows no leases
 */
export function isOpenElsewhere(fd: number): boolean {
  // Who opens the file in this moment waits, and makes the kernel send a signal.
  check(fcntl(fd, F_SETSIG, SIGURG), 'choose a signal');
  try {
    if (fcntl(fd, F_SETLEASE, F_WRLCK) >= 0) return false;
    if (lastError() === 'EAGAIN') return true;
    throw nativeError('ask whether a file is open elsewhere');
  } finally {
    fcntl(fd, F_SETLEASE, F_UNLCK);
    fcntl(fd, F_SETSIG, 0);
  }
}
