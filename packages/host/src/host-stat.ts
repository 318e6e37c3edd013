import { type BigIntStats, constants } from 'node:fs';
import type { DeviceNumber, FileType, Stat, Timestamp } from '@anole/vfs';

const types = new Map<number, FileType>([
  [constants.S_IFREG, 'file'],
  [constants.S_IFDIR, 'directory'],
  [constants.S_IFLNK, 'symlink'],
  [constants.S_IFCHR, 'character'],
  [constants.S_IFBLK, 'block'],
  [constants.S_IFIFO, 'fifo'],
  [constants.S_IFSOCK, 'socket'],
]);

export function typeOf(raw: BigIntStats): FileType {
  return typeOfMode(Number(raw.mode));
}

export function typeOfMode(mode: number): FileType {
  return types.get(mode & constants.S_IFMT) ?? 'file';
}

/** What stat(2) says in terms of a Tree, with the inode number given. */
export function statOf(raw: BigIntStats, ino: number): Stat {
  const type = typeOf(raw);
  const isDevice = type === 'character' || type === 'block';
  return {
    ino,
    type,
    mode: Number(raw.mode) & 0o7777,
    uid: Number(raw.uid),
    gid: Number(raw.gid),
    size: Number(raw.size),
    nlink: Number(raw.nlink),
    mtime: timeOf(raw.mtimeNs),
    atime: timeOf(raw.atimeNs),
    ctime: timeOf(raw.ctimeNs),
    allocated: Number(raw.blocks) * 512,
    ...(isDevice && { rdev: deviceOf(raw.rdev) }),
  };
}

function timeOf(time: bigint): Timestamp {
  const milliseconds = time / 1_000_000n;
  // Less than a millisecond, in whole nanoseconds; before 1970 below zero.
  const rest = Number(time - milliseconds * 1_000_000n);
  const whole = Number(milliseconds);
  const seconds = Math.floor((rest < 0 ? whole - 1 : whole) / 1000);
  return { seconds, nanoseconds: (whole - seconds * 1000) * 1_000_000 + rest };
}

/** glibc's makedev, undone (bits/sysmacros.h). */
export function deviceOf(device: bigint): DeviceNumber {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}

/** One file of one machine: names that share it are hard links. */
export function identityOf(raw: BigIntStats): string {
  return `${raw.dev}:${raw.ino}`;
}

/**
 * Inode numbers for files of several file systems: the first one's are kept, as far as a number
 * holds them; the others are counted from 2^52.
 */
export class InodeNumbers {
  private readonly device: number;
  private readonly others = new Map<string, number>();

  /** @param device that of the first, by {@link deviceNumber} */
  constructor(device: number) {
    this.device = device;
  }

  of(device: number, inode: number | bigint): number {
    if (device === this.device && inode > 0 && inode < 2 ** 52) return Number(inode);
    const identity = `${device}:${inode}`;
    const known = this.others.get(identity) ?? 2 ** 52 + this.others.size;
    this.others.set(identity, known);
    return known;
  }
}

/** One number for both parts. */
export function deviceNumber({ major, minor }: DeviceNumber): number {
  return major * 2 ** 32 + minor;
}
