import { existsSync, readdirSync, rmSync } from 'node:fs';
import { chmod, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Makes a cache's directory for its owner alone: images have files that only root may read, and not all may pull them. */
export async function makePrivate(cache: string): Promise<void> {
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const { uid, mode } = await stat(cache);
  if (uid === process.geteuid?.() && (mode & 0o077) !== 0) await chmod(cache, 0o700);
}

const BELL = /^bell-(\d+)$/;

/** Where this process makes its bell (see `PreContentGroup`). Those of processes that were killed go. */
export function ownBell(cache: string): string {
  for (const name of readdirSync(cache)) {
    const [, pid] = BELL.exec(name) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join(cache, name), { force: true });
  }
  return join(cache, `bell-${process.pid}`);
}
