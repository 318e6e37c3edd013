import { type Awaitable, isPromise } from '@anole/bytes';
import { VfsError } from '@anole/vfs';
import { changed } from './cannot-store.ts';
import type { Inode } from './inode.ts';

/** Bytes asked at once of a tree that gives memory of its own. */
const READ_SIZE = 1024 * 1024;

/**
 * Bytes of a file.
 *
 * @throws ErofsError `EROFS_SOURCE_CHANGED` where there are fewer by now, or another file or none; what
 *   the tree raises
 */
export function readExactly(inode: Inode, offset: number, length: number): Awaitable<Uint8Array> {
  const check = (bytes: Uint8Array): Uint8Array => {
    if (bytes.length === length) return bytes;
    throw cutShort(inode, offset, bytes.length, length);
  };
  const bytes = reading(inode, () => inode.node.read(offset, length));
  return isPromise(bytes) ? bytes.then(check) : check(bytes);
}

/** The same to where the bytes are wanted: without a copy where the tree can. */
export function readInto(inode: Inode, offset: number, target: Uint8Array): Awaitable<void> {
  const { node } = inode;
  if (node.readInto === undefined) return copyInto(inode, offset, target);
  const check = (count: number): void => {
    if (count !== target.length) throw cutShort(inode, offset, count, target.length);
  };
  const count = reading(inode, () => node.readInto!(offset, target));
  return isPromise(count) ? count.then(check) : check(count);
}

function reading<Result>(inode: Inode, read: () => Awaitable<Result>): Awaitable<Result> {
  const fail = (error: unknown): never => {
    throw gone(inode, error) ?? error;
  };
  try {
    const result = read();
    return isPromise(result) ? result.catch(fail) : result;
  } catch (error) {
    return fail(error);
  }
}

function gone({ path }: Inode, error: unknown) {
  const code = error instanceof VfsError ? error.code : undefined;
  if (code === 'VFS_STALE') return changed(path, 'it is not what it was');
  return code === 'VFS_NOT_FOUND' ? changed(path, 'it is gone') : undefined;
}

function copyInto(inode: Inode, offset: number, target: Uint8Array): Awaitable<void> {
  for (let done = 0; done < target.length; done += READ_SIZE) {
    const bytes = readExactly(inode, offset + done, Math.min(READ_SIZE, target.length - done));
    if (isPromise(bytes)) return copyLater(inode, offset, target, done, bytes);
    target.set(bytes, done);
  }
}

async function copyLater(
  inode: Inode,
  offset: number,
  target: Uint8Array,
  from: number,
  first: Promise<Uint8Array>,
): Promise<void> {
  target.set(await first, from);
  for (let done = from + READ_SIZE; done < target.length; done += READ_SIZE) {
    const count = Math.min(READ_SIZE, target.length - done);
    target.set(await readExactly(inode, offset + done, count), done);
  }
}

function cutShort({ path }: Inode, offset: number, left: number, wanted: number) {
  return changed(path, `${left} of ${wanted} bytes are left at ${offset}`);
}
