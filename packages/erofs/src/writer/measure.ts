import type { Timestamp } from '@anole/vfs';
import { COMPACT_SIZE, EXTENDED_SIZE } from '../layout/inode.ts';
import type { Inode } from './inode.ts';
import type { Settings } from './options.ts';
import { xattrSize } from './xattrs.ts';

/**
 * Decides what each inode takes before what is stored of its data. Returns the time of those that have
 * none of their own. To be called once all attributes are known.
 */
export function measureInodes(inodes: readonly Inode[], settings: Settings): Timestamp {
  const epoch = commonTime(inodes);
  for (const inode of inodes) measureInode(inode, epoch, settings);
  return epoch;
}

export function measureInode(inode: Inode, epoch: Timestamp, { extendedOnly }: Settings): void {
  inode.extended = extendedOnly || !fitsCompact(inode, epoch);
  inode.xattrSize = xattrSize(inode.xattrs);
}

export function coreSize(inode: Inode): number {
  return inode.extended ? EXTENDED_SIZE : COMPACT_SIZE;
}

/**
 * Compact inodes have no time of their own that kernels before 6.15 read: they share one. The one
 * that most inodes have lets most be compact. Ties go to the earlier inode.
 */
function commonTime(inodes: readonly Inode[]): Timestamp {
  const counts = new Map<string, { time: Timestamp; count: number }>();
  for (const { mtime } of inodes) {
    const key = `${mtime.seconds}.${mtime.nanoseconds}`;
    const entry = counts.get(key);
    if (entry) entry.count++;
    else counts.set(key, { time: mtime, count: 1 });
  }
  let best = { time: { seconds: 0, nanoseconds: 0 }, count: 0 };
  for (const entry of counts.values()) if (entry.count > best.count) best = entry;
  return best.time;
}

function fitsCompact({ uid, gid, size, nlink, mtime }: Inode, epoch: Timestamp): boolean {
  return (
    uid <= 0xffff &&
    gid <= 0xffff &&
    nlink <= 0xffff &&
    size <= 0xffffffff &&
    mtime.seconds === epoch.seconds &&
    mtime.nanoseconds === epoch.nanoseconds
  );
}
