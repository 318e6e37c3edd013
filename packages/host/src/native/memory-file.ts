import { ftruncateSync } from 'node:fs';
import { check, closeDescriptor, native } from './koffi.ts';

const memfdCreate = native('int memfd_create(const char *name, unsigned int flags)');
const fcntl = native('int fcntl(int fd, int command, long argument)');

const CLOEXEC = 1;
const ALLOW_SEALING = 2;
/** linux/fcntl.h */
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;

/** What can never be done to a memory file again (fcntl(2)). */
export const Seal = {
  /** No more seals. */
  seal: 1,
  shrink: 2,
  grow: 4,
  write: 8,
  /** No writable mappings but those that exist. Linux 5.1. */
  futureWrite: 16,
} as const;

/**
 * A file of `size` zeros in memory, without a name; pages are taken when they are touched. The
 * caller owns the descriptor.
 *
 * @param name shown in /proc, at most 249 bytes
 * @throws HostError `HOST_NO_NATIVE`, `HOST_IO`
 */
export function memoryFile(name: string, size: number): number {
  const fd = check(memfdCreate(name, CLOEXEC | ALLOW_SEALING), 'make a file in memory');
  try {
    ftruncateSync(fd, size);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** @param seals bits of {@link Seal} */
export function addSeals(fd: number, seals: number): void {
  check(fcntl(fd, F_ADD_SEALS, seals), 'seal a file in memory');
}

/** Bits of {@link Seal}. @throws HostError where the descriptor is of no memory file */
export function sealsOf(fd: number): number {
  return check(fcntl(fd, F_GET_SEALS, 0), 'read the seals of a file');
}
