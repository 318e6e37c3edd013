import type { DeviceNumber, FileType, Stat } from '@anole/vfs';
import { Attr, AttrOut, EntryOut } from './layout/replies.ts';

/** S_IF* of stat.h; shifted right by 12, DT_* of dirent.h. */
const typeBits: Readonly<Record<FileType, number>> = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};

const typeOfBits = new Map(
  Object.entries(typeBits).map(([type, bits]) => [bits, type as FileType]),
);

/** DT_* of dirent.h. */
export function direntType(type: FileType): number {
  return typeBits[type] >> 12;
}

/** The type that a mode of MKNOD names; 0 stands for a file, as mknod(2) has it. */
export function typeOfMode(mode: number): FileType | undefined {
  return (mode & 0o170000) === 0 ? 'file' : typeOfBits.get(mode & 0o170000);
}

/** What holds for all attributes that the kernel is told. */
export interface Terms {
  /** How long it may believe a name, in seconds. */
  readonly entry: number;
  /** How long it may believe attributes, in seconds. */
  readonly attributes: number;
  /** It gathers writes, so that a file may hold more than the tree knows. */
  readonly delayedWrites: boolean;
}

export function writeEntry(
  view: DataView,
  at: number,
  nodeid: number,
  stat: Stat,
  terms: Terms,
): void {
  const entry = EntryOut.at(view, at) as {
    -readonly [K in 'nodeid' | 'entryValid' | 'attrValid']: number;
  };
  entry.nodeid = nodeid;
  entry.entryValid = terms.entry;
  entry.attrValid = terms.attributes;
  writeAttr(view, at + EntryOut.offsets.attr, stat, terms.delayedWrites);
}

export function writeAttrOut(view: DataView, at: number, stat: Stat, terms: Terms): void {
  AttrOut.at(view, at).attrValid = terms.attributes;
  writeAttr(view, at + AttrOut.offsets.attr, stat, terms.delayedWrites);
}

function writeAttr(view: DataView, at: number, stat: Stat, delayedWrites: boolean): void {
  const { mtime, atime = mtime, ctime = mtime } = stat;
  const attr = Attr.at(view, at);
  attr.ino = stat.ino;
  attr.size = stat.size;
  attr.blocks = blocksOf(stat, delayedWrites);
  attr.atime = atime.seconds;
  attr.mtime = mtime.seconds;
  attr.ctime = ctime.seconds;
  attr.atimeNanoseconds = atime.nanoseconds;
  attr.mtimeNanoseconds = mtime.nanoseconds;
  attr.ctimeNanoseconds = ctime.nanoseconds;
  attr.mode = typeBits[stat.type] | stat.mode;
  attr.nlink = stat.nlink;
  attr.uid = stat.uid;
  attr.gid = stat.gid;
  attr.rdev = stat.rdev === undefined ? 0 : encodeDevice(stat.rdev);
  attr.blockSize = 4096;
}

/**
 * What stat(2) shows as blocks of 512 bytes. Where writes are delayed a file never has none: GNU tar
 * takes such a file for one large hole, while the kernel still holds what was written.
 */
function blocksOf({ type, size, allocated = size }: Stat, delayedWrites: boolean): number {
  if (type !== 'file') return 0;
  return Math.max(Math.ceil(allocated / 512), delayedWrites ? 1 : 0);
}

/** new_encode_dev() of linux/kdev_t.h: 12 bits of major within 20 bits of minor. */
function encodeDevice({ major, minor }: DeviceNumber): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

/** new_decode_dev() of linux/kdev_t.h. */
export function decodeDevice(device: number): DeviceNumber {
  return {
    major: (device >>> 8) & 0xfff,
    minor: (device & 0xff) | ((device >>> 12) & 0xfff00),
  };
}
