import { writeSync } from 'node:fs';

/**
 * Bytes written at once. For more, ext4 wants as large pieces of memory, and finds them several times as slowly
 * where memory is in pieces; less takes more calls.
 */
const WRITE_MAX = 256 * 1024;

/** Writes all of `bytes` from byte `offset` of an open file on. Raises what Node does. */
export function writeAt(fd: number, offset: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    const count = Math.min(WRITE_MAX, bytes.length - done);
    done += writeSync(fd, bytes, done, count, offset + done);
  }
}
