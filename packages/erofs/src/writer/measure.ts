import type { Timestamp } from '@anole/vfs';
import { COMPACT_SIZE, EXTENDED_SIZE } from '../layout/inode.ts';
import { cannotStore } from './cannot-store.ts';
import type { Inode } from './inode.ts';
import type { Settings } from './options.ts';
import { xattrSize } from './xattrs.ts';

/**
 * Decides what each inode takes before what is stored of its data. Returns the time of those that have
 * none of their own. To be called once all attributes are known.
 */
export function measureInodes(inodes: readonly Inode[], settings: Settings): Timestamp {
  const { compactTimes, buildTime } = settings;
  const common = compactTimes ? earliest(inodes) : commonTime(inodes);
  const isCounted = buildTime === undefined || isAfter(buildTime, common.seconds);
  const epoch = isCounted ? common : { ...common, seconds: buildTime };
  for (const inode of inodes) measureInode(inode, epoch, settings);
  return epoch;
}

/** @throws ErofsError `EROFS_CANNOT_STORE` where all are to be compact, and this one cannot be */
export function measureInode(inode: Inode, epoch: Timestamp, settings: Settings): void {
  const { inodes, ignoreTimes } = settings;
  const timeless = ignoreTimes || inodes === 'compact';
  const fits =
    fitsCompact(inode) && (timeless || compactTime(inode, epoch, settings) !== undefined);
  if (inodes === 'compact' && !fits) {
    throw cannotStore(inode.path, 'its owner, size or number of names needs an inode of 64 bytes');
  }
  inode.extended = inodes === 'extended' || !fits;
  inode.xattrSize = xattrSize(inode.xattrs);
}

export function coreSize(inode: Inode): number {
  return inode.extended ? EXTENDED_SIZE : COMPACT_SIZE;
}

/** Whether 32 bits count the seconds from a time to another. */
function isAfter(seconds: number, epoch: number): boolean {
  return seconds >= epoch && seconds - epoch <= 0xffffffff;
}

/**
 * Compact inodes have no time of their own that kernels before 6.15 read: they share one. The one
 * that most inodes have lets most be compact. Ties go to the earlier inode.
 */
function commonTime(inodes: readonly Inode[]): Timestamp {
  // Each file may have a time of its own: a hash table of numbers takes a tenth of a Map's room.
  const slots = new Uint32Array(2 ** Math.ceil(Math.log2(inodes.length * 2 + 1)));
  /** Of the first inode that has a time, how many have it. */
  const counts = new Uint32Array(inodes.length);
  let best = 0;
  for (const { seconds, nanoseconds, ino } of inodes) {
    let slot = slotOf(seconds, nanoseconds) % slots.length;
    for (; slots[slot] !== 0; slot = (slot + 1) % slots.length) {
      const first = inodes[slots[slot]! - 1]!;
      if (first.seconds === seconds && first.nanoseconds === nanoseconds) break;
    }
    if (slots[slot] === 0) slots[slot] = ino;
    counts[slots[slot]! - 1]!++;
  }
  for (let index = 1; index < inodes.length; index++) {
    if (counts[index]! > counts[best]!) best = index;
  }
  const { seconds, nanoseconds } = inodes[best]!;
  return { seconds, nanoseconds };
}

/** Spreads times over 32 bits. */
function slotOf(seconds: number, nanoseconds: number): number {
  const mixed = Math.imul(seconds, 0x9e3779b1) ^ Math.imul(nanoseconds, 0x85ebca6b);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

function fitsCompact({ uid, gid, size, nlink }: Inode): boolean {
  return uid <= 0xffff && gid <= 0xffff && nlink <= 0xffff && size <= 0xffffffff;
}

/** Seconds after the epoch that a compact inode has for its time; undefined where that cannot be told so. */
export function compactTime(
  { seconds, nanoseconds }: Inode,
  epoch: Timestamp,
  { compactTimes }: Settings,
): number | undefined {
  const after = seconds - epoch.seconds;
  const fits = after >= 0 && after <= (compactTimes ? 0xffffffff : 0);
  return fits && nanoseconds === epoch.nanoseconds ? after : undefined;
}

/** From here on compact inodes count: their nanoseconds are those of the commonest time. */
function earliest(inodes: readonly Inode[]): Timestamp {
  const common = commonTime(inodes);
  let { seconds } = common;
  // What lies further back is rare, and takes 64 bytes.
  const limit = seconds - 2 ** 31;
  for (const inode of inodes)
    if (inode.seconds >= limit) seconds = Math.min(seconds, inode.seconds);
  return { seconds, nanoseconds: common.nanoseconds };
}
