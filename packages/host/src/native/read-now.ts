import { readSync } from 'node:fs';
import { systemCode } from '../errors.ts';
import { check, lastError, native } from './koffi.ts';

const read = native('int64_t read(int fd, void *buffer, size_t length)');
const fcntl = native('int fcntl(int fd, int command, long argument)');

/** linux/fcntl.h */
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

/** From now on no read of a descriptor waits, whoever has a copy of it. */
export function neverWait(fd: number): void {
  const flags = check(fcntl(fd, F_GETFL, 0), 'look at a descriptor');
  check(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 'set up a descriptor');
}

/**
 * Reads what is at hand of a descriptor that never waits, in this thread: a tenth of what it costs to have another
 * thread do it. Undefined where nothing is.
 *
 * @throws the system's error, as Node's own calls raise it
 */
export function readNow(fd: number, buffer: Uint8Array): number | undefined {
  const count = Number(read(fd, buffer, buffer.length));
  if (count >= 0) return count;
  if (lastError() === 'EAGAIN') return undefined;
  try {
    // Says reliably why not, or does it.
    return readSync(fd, buffer);
  } catch (error) {
    if (systemCode(error) === 'EAGAIN') return undefined;
    throw error;
  }
}
