import { chmod, mkdir, stat } from 'node:fs/promises';

/** Makes a cache's directory for its owner alone: images have files that only root may read, and not all may pull them. */
export async function makePrivate(cache: string): Promise<void> {
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const { uid, mode } = await stat(cache);
  if (uid === process.geteuid?.() && (mode & 0o077) !== 0) await chmod(cache, 0o700);
}
