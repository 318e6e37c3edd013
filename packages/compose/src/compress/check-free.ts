import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { HostError } from '@anole/host';

/** linux/magic.h, and ZFS: they may compress, so that more goes in than they say is free. */
const BTRFS = 0x9123683e;
const F2FS = 0xf2f52010;
const BCACHEFS = 0xca451a4e;
const ZFS = 0x2fc12fc1;
const compressing: ReadonlySet<number> = new Set([BTRFS, F2FS, BCACHEFS, ZFS]);

/**
 * Tells before `bytes` are written to a file that there is no room for them: else that takes as long as
 * filling the disk. What only the superuser may use counts as free, quotas are not asked.
 *
 * @throws HostError `HOST_NO_SPACE`
 */
export function checkFree(path: string, bytes: number): void {
  const { type, blocks, bfree, bsize } = statfsSync(dirname(path));
  const free = bfree * bsize;
  // Without blocks a file system has no bound, or tells none.
  if (blocks === 0 || compressing.has(type) || bytes <= free) return;
  throw new HostError(
    'HOST_NO_SPACE',
    `Cannot write ${bytes} bytes of files to ${path}: its disk has ${free} bytes free`,
    { details: { path, bytes, free }, hint: 'Free some space there, or write to another disk.' },
  );
}
