import { mkdir, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from './errors.ts';

/**
 * Makes a directory with those above it, as `mkdir -p`; gives those that were not there, the inner
 * ones first. Node's own recursive mkdir never ends where the kernel answers ENOENT for a directory
 * whose parent exists, as it does in /proc.
 */
export async function makeDirectories(path: string): Promise<readonly string[]> {
  try {
    await mkdir(path);
    return [path];
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EEXIST') return [];
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    const above = await makeDirectories(dirname(path));
    await mkdir(path).catch(ignoreExisting);
    return [path, ...above];
  }
}

/** Takes directories away again, as far as nobody has put anything into them meanwhile. */
export async function removeDirectories(made: readonly string[]): Promise<void> {
  for (const path of made) await rmdir(path).catch(() => {});
}

/** Another process may have been faster. */
function ignoreExisting(error: unknown): void {
  if (systemCode(error) !== 'EEXIST') throw error;
}
