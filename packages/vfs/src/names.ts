import { encodeName } from '@anole/bytes';
import { VfsError } from './errors.ts';

/** Bytes of a name and of a link's target at most (limits.h, NAME_MAX and PATH_MAX). */
const NAME_MAX = 255;
const TARGET_MAX = 4095;

/** False for what cannot be a component of a path, of any length. */
export function isName(name: string): boolean {
  return (
    name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0')
  );
}

/** @throws VfsError `VFS_INVALID`, `VFS_NAME_TOO_LONG` for what no directory entry can be called. */
export function checkName(name: string): void {
  if (!isName(name)) {
    throw new VfsError('VFS_INVALID', `Cannot use the name ${JSON.stringify(name.slice(0, 300))}`);
  }
  if (isLonger(name, NAME_MAX)) {
    throw new VfsError('VFS_NAME_TOO_LONG', `Cannot use a name of more than ${NAME_MAX} bytes`);
  }
}

/** @throws VfsError `VFS_NOT_FOUND` for an empty target as symlink(2), `VFS_INVALID`, `VFS_NAME_TOO_LONG` */
export function checkTarget(target: string): void {
  if (target === '') throw new VfsError('VFS_NOT_FOUND', 'Cannot link to an empty target');
  if (target.includes('\0')) {
    throw new VfsError('VFS_INVALID', `Cannot link to ${JSON.stringify(target.slice(0, 300))}`);
  }
  if (isLonger(target, TARGET_MAX)) {
    throw new VfsError('VFS_NAME_TOO_LONG', `Cannot link to more than ${TARGET_MAX} bytes`);
  }
}

/** Without encoding what is surely short: a UTF-16 unit is at most three bytes. */
function isLonger(text: string, limit: number): boolean {
  return text.length * 3 > limit && encodeName(text).length > limit;
}
