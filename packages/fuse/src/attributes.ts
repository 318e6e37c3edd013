import { encodeDevice, type FileType, modeOfType, type Stat, typeOfMode } from '@anole/vfs';
import { ATTR_DAX } from './layout/flags.ts';
import { Attr, AttrOut, EntryOut } from './layout/replies.ts';
import { isMapped } from './window.ts';

/** DT_* of dirent.h. */
export function direntType(type: FileType): number {
  return modeOfType[type] >> 12;
}

/** The type that a mode of MKNOD names; 0 stands for a file, as mknod(2) has it. */
export function typeOfNode(mode: number): FileType | undefined {
  return (mode & 0o170000) === 0 ? 'file' : typeOfMode(mode);
}

/** What holds for all attributes that the kernel is told. */
export interface Terms {
  /** How long it may believe a name, in seconds. */
  readonly entry: number;
  /** How long it may believe attributes, in seconds. */
  readonly attributes: number;
  /** It gathers writes, so that a file may hold more than the tree knows. */
  readonly delayedWrites: boolean;
  /** It maps files: see {@link isMapped}. */
  readonly maps: boolean;
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
  writeAttr(view, at + EntryOut.offsets.attr, stat, terms);
}

export function writeAttrOut(view: DataView, at: number, stat: Stat, terms: Terms): void {
  AttrOut.at(view, at).attrValid = terms.attributes;
  writeAttr(view, at + AttrOut.offsets.attr, stat, terms);
}

function writeAttr(view: DataView, at: number, stat: Stat, terms: Terms): void {
  const { mtime, atime = mtime, ctime = mtime } = stat;
  const attr = Attr.at(view, at);
  attr.ino = stat.ino;
  attr.size = stat.size;
  attr.blocks = blocksOf(stat, terms.delayedWrites);
  attr.atime = atime.seconds;
  attr.mtime = mtime.seconds;
  attr.ctime = ctime.seconds;
  attr.atimeNanoseconds = atime.nanoseconds;
  attr.mtimeNanoseconds = mtime.nanoseconds;
  attr.ctimeNanoseconds = ctime.nanoseconds;
  attr.mode = modeOfType[stat.type] | stat.mode;
  attr.nlink = stat.nlink;
  attr.uid = stat.uid;
  attr.gid = stat.gid;
  attr.rdev = stat.rdev === undefined ? 0 : encodeDevice(stat.rdev);
  attr.blockSize = 4096;
  if (terms.maps && isMapped(stat)) attr.flags = ATTR_DAX;
}

/**
 * What stat(2) shows as blocks of 512 bytes. Where writes are delayed a file never has none: GNU tar
 * takes such a file for one large hole, while the kernel still holds what was written.
 */
function blocksOf({ type, size, allocated = size }: Stat, delayedWrites: boolean): number {
  if (type !== 'file') return 0;
  return Math.max(Math.ceil(allocated / 512), delayedWrites ? 1 : 0);
}
