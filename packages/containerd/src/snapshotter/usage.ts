import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hostError, systemCode } from '@anole/host';
import type { Usage } from './snapshot.ts';

/** Bytes of a block as `stat` counts them. */
const BLOCK = 512;

/**
 * What a directory takes of its disk. Files with several names count once; what goes away meanwhile does
 * not count.
 *
 * @throws HostError
 */
export async function usageOf(directory: string): Promise<Usage> {
  const seen = new Set<string>();
  let size = 0;
  const visit = async (path: string): Promise<void> => {
    const stat = await lstat(path, { bigint: true });
    const key = `${stat.dev} ${stat.ino}`;
    if (seen.has(key)) return;
    seen.add(key);
    size += Number(stat.blocks) * BLOCK;
    if (!stat.isDirectory()) return;
    const names = await readdir(path);
    await Promise.all(names.map((name) => visit(join(path, name)).catch(unlessGone)));
  };
  try {
    await visit(directory);
  } catch (error) {
    throw hostError(error, `measure ${directory}`);
  }
  return { size, inodes: seen.size };
}

function unlessGone(error: unknown): void {
  if (systemCode(error) !== 'ENOENT') throw error;
}
