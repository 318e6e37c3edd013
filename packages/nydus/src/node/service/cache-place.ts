import { chmod, mkdir, stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { cacheDirectory } from '@anole/host';

/**
 * Makes a cache's directory for its owner alone: images have files that only root may read, and not all may pull them.
 * One that is there already is somebody else's to close, as `/tmp`, but for those below `own`.
 *
 * @returns whether it is for its owner alone
 */
export async function makePrivate(cache: string, own = cacheDirectory()): Promise<boolean> {
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const { uid, mode } = await stat(cache);
  if ((mode & 0o077) === 0) return true;
  if (uid !== process.geteuid?.() || !resolve(cache).startsWith(own + sep)) return false;
  await chmod(cache, 0o700);
  return true;
}
