import { readFile } from 'node:fs/promises';

/**
 * Whether an overlay that is mounted has a directory below it. Unmounting what is on the directory would not
 * fail then: the overlay goes on with what it saw, of which nobody would be told any more.
 */
export async function isBelowOverlay(directory: string): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  return table.split('\n').some((line) => {
    if (!line.includes(' - overlay ')) return false;
    const lowers = /[ ,]lowerdir=([^, ]*)/.exec(line)?.[1] ?? '';
    return lowers.split(':').includes(directory);
  });
}
