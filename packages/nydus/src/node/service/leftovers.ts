import { readFile } from 'node:fs/promises';
import { systemCode, writeFileAtomically } from '@anole/host';
import { unmount } from '@anole/host/native';
import type { MountRecord } from './service.ts';

/**
 * Notes what is mounted, for a service that starts after this one and its keeper were both killed.
 */
export async function noteMounts(path: string, mounts: readonly MountRecord[]): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify(mounts.map(({ directory }) => directory))}\n`);
}

/**
 * Takes away mounts that nobody serves any more: their holes would be read as zeros.
 *
 * @param path where {@link noteMounts} has noted them
 * @returns directories that were mounted
 */
export async function clearLeftovers(path: string): Promise<readonly string[]> {
  let noted: unknown;
  try {
    noted = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || error instanceof SyntaxError) return [];
    throw error;
  }
  if (!Array.isArray(noted)) return [];
  const mounted = await readFile('/proc/self/mountinfo', 'utf8');
  return noted.filter((directory): directory is string => {
    if (typeof directory !== 'string' || !mounted.includes(` ${escaped(directory)} `)) return false;
    unmount(directory, { lazy: true });
    return true;
  });
}

/** A path as mountinfo writes it (proc_pid_mountinfo(5)). */
function escaped(path: string): string {
  return path.replace(
    /[\\ \t\n]/g,
    (each) => `\\${each.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}
