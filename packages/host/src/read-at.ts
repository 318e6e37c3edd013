import { readSync } from 'node:fs';

/**
 * Fills `target` from byte `offset` of an open file on; gives how many bytes there were before its end. Raises what
 * Node does.
 */
export function readAt(fd: number, offset: number, target: Uint8Array): number {
  let done = 0;
  while (done < target.length) {
    const read = readSync(fd, target, done, target.length - done, offset + done);
    if (read === 0) break;
    done += read;
  }
  return done;
}
