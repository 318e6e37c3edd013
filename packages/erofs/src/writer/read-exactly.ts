import { type Awaitable, isPromise } from '@anole/bytes';
import type { Inode } from './inode.ts';
import { changed } from './scan.ts';

/** Bytes of a file. @throws ErofsError `EROFS_SOURCE_CHANGED` where there are fewer by now */
export function readExactly(inode: Inode, offset: number, length: number): Awaitable<Uint8Array> {
  const check = (bytes: Uint8Array): Uint8Array => {
    if (bytes.length === length) return bytes;
    throw changed(inode.path, `${bytes.length} of ${length} bytes are left at ${offset}`);
  };
  const bytes = inode.node.read(offset, length);
  return isPromise(bytes) ? bytes.then(check) : check(bytes);
}
