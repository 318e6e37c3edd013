import { type BigIntStats, constants } from 'node:fs';
import type { DeviceNumber, FileType, Stat, Timestamp } from '@anole/vfs';

const types = new Map<bigint, FileType>([
  [BigInt(constants.S_IFREG), 'file'],
  [BigInt(constants.S_IFDIR), 'directory'],
  [BigInt(constants.S_IFLNK), 'symlink'],
  [BigInt(constants.S_IFCHR), 'character'],
  [BigInt(constants.S_IFBLK), 'block'],
  [BigInt(constants.S_IFIFO), 'fifo'],
  [BigInt(constants.S_IFSOCK), 'socket'],
]);

export function typeOf(raw: BigIntStats): FileType {
  return types.get(raw.mode & BigInt(constants.S_IFMT)) ?? 'file';
}

/** What stat(2) says in terms of a Tree, with the inode number given. */
export function statOf(raw: BigIntStats, ino: number): Stat {
  const type = typeOf(raw);
  const isDevice = type === 'character' || type === 'block';
  return {
    ino,
    type,
    mode: Number(raw.mode & 0o7777n),
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

function timeOf(nanoseconds: bigint): Timestamp {
  const seconds = nanoseconds / 1_000_000_000n - (nanoseconds % 1_000_000_000n < 0n ? 1n : 0n);
  return {
    seconds: Number(seconds),
    nanoseconds: Number(nanoseconds - seconds * 1_000_000_000n),
  };
}

/** glibc's makedev, undone (bits/sysmacros.h). */
function deviceOf(device: bigint): DeviceNumber {
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
  private readonly device: bigint;
  private readonly others = new Map<string, number>();

  constructor(device: bigint) {
    this.device = device;
  }

  of(raw: BigIntStats): number {
    if (raw.dev === this.device && raw.ino > 0n && raw.ino < 1n << 52n) return Number(raw.ino);
    const identity = identityOf(raw);
    const known = this.others.get(identity) ?? 2 ** 52 + this.others.size;
    this.others.set(identity, known);
    return known;
  }
}
