import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from './errors.ts';

/**
 * Makes a directory with those above it, as `mkdir -p`. Node's own recursive mkdir never ends where
 * the kernel answers ENOENT for a directory whose parent exists, as it does in /proc.
 */
export async function makeDirectories(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeDirectories(dirname(path));
    await mkdir(path).catch(ignoreExisting);
  }
}

/** Another process may have been faster. */
function ignoreExisting(error: unknown): void {
  if (systemCode(error) !== 'EEXIST') throw error;
}
