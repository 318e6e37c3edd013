import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { checkRange, type Source } from '@anole/bytes';
import type { DeviceNumber } from '@anole/vfs';
import { HostError, hostError } from './errors.ts';
import { deviceOf } from './host-stat.ts';
import { readAt } from './read-at.ts';

/** A Source over a file or a block device of this machine, held open until it is closed. */
export interface FileSource extends Source {
  /** The descriptor, for callers that map or pass it on; the Source owns it. */
  readonly fd: number;
  read(offset: number, length: number): Uint8Array;
  readInto(offset: number, target: Uint8Array): void;
  close(): void;
  [Symbol.dispose](): void;
}

/**
 * Opens a file as a Source. Reads are synchronous and give memory of their own: the result may be
 * kept. The size is that of the moment of opening.
 *
 * @throws HostError `HOST_NOT_FOUND`, `HOST_NOT_PERMITTED`, `HOST_NOT_FILE`; later reads
 * `HOST_WRONG_CONTENT` where the file has been cut short since, and `HOST_IO`.
 * @example
 * using source = fileSource('/boot/vmlinuz');
 * const head = source.read(0, 64);
 */
export function fileSource(path: string): FileSource {
  const fd = openFile(path);
  let open = true;
  const close = () => {
    if (open) closeSync(fd);
    open = false;
  };
  let size: number;
  try {
    size = sizeOfFile(fd, path);
  } catch (error) {
    close();
    throw error;
  }
  const fill = (offset: number, target: Uint8Array) => {
    if (!open) throw new HostError('HOST_IO', `Cannot read ${path}: it has been closed`);
    readFully(fd, offset, target, path);
  };
  return {
    size,
    fd,
    close,
    [Symbol.dispose]: close,
    read(offset, length) {
      checkRange(offset, length, size);
      const bytes = new Uint8Array(length);
      fill(offset, bytes);
      return bytes;
    },
    readInto(offset, target) {
      checkRange(offset, target.length, size);
      fill(offset, target);
    },
  };
}

function openFile(path: string): number {
  try {
    // Without O_NONBLOCK opening a fifo would hang until somebody writes to it.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw hostError(error, `open ${path}`);
  }
}

function sizeOfFile(fd: number, path: string): number {
  const stat = fstatSync(fd, { bigint: true });
  if (stat.isBlockDevice()) return sizeOfDevice(deviceOf(stat.rdev), path);
  if (stat.isFile()) return Number(stat.size);
  throw new HostError('HOST_NOT_FILE', `Cannot read ${path}: it is no regular file`);
}

/** What is read of a block device has no size of its own: the kernel tells sectors of 512 bytes, whatever it has. */
function sizeOfDevice({ major, minor }: DeviceNumber, path: string): number {
  try {
    return Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'latin1')) * 512;
  } catch (error) {
    throw hostError(error, `tell the size of ${path}`);
  }
}

function readFully(fd: number, offset: number, target: Uint8Array, path: string): void {
  const { length } = target;
  const read = readInto(fd, target, offset, () => path);
  if (read === length) return;
  throw new HostError(
    'HOST_WRONG_CONTENT',
    `Cannot read ${length} bytes at offset ${offset} of ${path}: it has been cut short`,
    { details: { path, offset, length, read } },
  );
}

/** Fills `bytes` from `offset`; gives how many there were before the end of the file. */
export function readInto(
  fd: number,
  bytes: Uint8Array,
  offset: number,
  path: () => string,
): number {
  try {
    return readAt(fd, offset, bytes);
  } catch (error) {
    throw hostError(error, `read ${path()}`);
  }
}
