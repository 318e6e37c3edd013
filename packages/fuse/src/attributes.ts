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

/** How long the kernel may believe what it was told. In seconds. */
export interface Lifetimes {
  readonly entry: number;
  readonly attributes: number;
}

export function writeEntry(
  view: DataView,
  at: number,
  nodeid: number,
  stat: Stat,
  lifetimes: Lifetimes,
): void {
  const entry = EntryOut.at(view, at) as {
    -readonly [K in 'nodeid' | 'entryValid' | 'attrValid']: number;
  };
  entry.nodeid = nodeid;
  entry.entryValid = lifetimes.entry;
  entry.attrValid = lifetimes.attributes;
  writeAttr(view, at + EntryOut.offsets.attr, stat);
}

export function writeAttrOut(view: DataView, at: number, stat: Stat, lifetimes: Lifetimes): void {
  AttrOut.at(view, at).attrValid = lifetimes.attributes;
  writeAttr(view, at + AttrOut.offsets.attr, stat);
}

function writeAttr(view: DataView, at: number, stat: Stat): void {
  const { mtime, atime = mtime, ctime = mtime } = stat;
  const attr = Attr.at(view, at);
  attr.ino = stat.ino;
  attr.size = stat.size;
  attr.blocks = Math.ceil((stat.allocated ?? (stat.type === 'file' ? stat.size : 0)) / 512);
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
