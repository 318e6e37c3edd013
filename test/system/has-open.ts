import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Whether a process has a file of a directory open, with a name or without. @throws Error where it has ended */
export function hasOpen(pid: number, directory: string): boolean {
  const descriptors = `/proc/${pid}/fd`;
  return readdirSync(descriptors).some((descriptor) => {
    try {
      return readlinkSync(join(descriptors, descriptor)).startsWith(`${directory}/`);
    } catch {
      // It was closed meanwhile.
      return false;
    }
  });
}
