import { viewOf } from '@anole/bytes';
import { encodeDevice, modeOfType } from '@anole/vfs';
import { CHUNK_INDEX_SIZE, CHUNK_INDEXES } from '../layout/chunk.ts';
import {
  COMPACT_SIZE,
  CompactInode,
  EXTENDED_SIZE,
  ExtendedInode,
  FORMAT_EXTENDED,
  FORMAT_LAYOUT_SHIFT,
  FORMAT_NO_DOT,
  layouts,
} from '../layout/inode.ts';
import { XATTR_HEADER_SIZE, XATTR_UNIT } from '../layout/xattr.ts';
import { entrySize } from './chunks.ts';
import type { Inode } from './inode.ts';
import { compactTime } from './measure.ts';
import type { Settings } from './options.ts';
import type { Plan } from './plan.ts';

// Images have as many inodes as files: they are encoded in one place, which is used again.
const compactBytes = new Uint8Array(COMPACT_SIZE);
const extendedBytes = new Uint8Array(EXTENDED_SIZE);
const compact = CompactInode.at(viewOf(compactBytes));
const extended = ExtendedInode.at(viewOf(extendedBytes));

/** The inode itself, without what follows it. Valid until the next call. */
export function encodeInode(
  inode: Inode,
  { settings, epoch }: Pick<Plan, 'settings' | 'epoch'>,
): Uint8Array {
  const { extended: isExtended, type } = inode;
  // By cursors, which make no objects.
  if (isExtended) {
    extended.format = formatOf(inode, settings);
    extended.xattrCount = xattrCountOf(inode.xattrSize);
    extended.mode = modeOfType[type] | inode.mode;
    extended.size = inode.size;
    extended.data = dataOf(inode, settings.chunks?.indexes ?? false);
    extended.ino = inode.ino >>> 0;
    extended.uid = inode.uid;
    extended.gid = inode.gid;
    extended.mtime = inode.seconds;
    extended.mtimeNanoseconds = inode.nanoseconds;
    extended.nlink = inode.nlink;
    return extendedBytes;
  }
  compact.format = formatOf(inode, settings);
  compact.xattrCount = xattrCountOf(inode.xattrSize);
  compact.mode = modeOfType[type] | inode.mode;
  compact.nlink = inode.nlink;
  compact.size = inode.size;
  compact.mtime = compactTime(inode, epoch, settings) ?? 0;
  compact.data = dataOf(inode, settings.chunks?.indexes ?? false);
  compact.ino = inode.ino >>> 0;
  compact.uid = inode.uid;
  compact.gid = inode.gid;
  return compactBytes;
}

function layoutOf(inode: Inode): number {
  const { tailSize, chunks } = inode;
  if (inode.isCompressed) {
    return inode.compressed?.places ? layouts.compressedFull : layouts.compressedCompact;
  }
  if (chunks !== undefined) return layouts.chunked;
  return tailSize > 0 ? layouts.inline : layouts.plain;
}

function formatOf(inode: Inode, { listDots }: Settings): number {
  return (
    (inode.extended ? FORMAT_EXTENDED : 0) |
    (layoutOf(inode) << FORMAT_LAYOUT_SHIFT) |
    (listDots || inode.type !== 'directory' ? 0 : FORMAT_NO_DOT)
  );
}

function dataOf(inode: Inode, indexes: boolean): number {
  const { type, rdev, size, startBlock, chunks, isCompressed, blocks } = inode;
  if (type === 'character' || type === 'block') {
    return encodeDevice(rdev ?? { major: 0, minor: 0 });
  }
  if (type === 'fifo' || type === 'socket') return 0;
  // How many blocks, not where: the indexes say that.
  if (isCompressed) return blocks;
  if (chunks === undefined) return size === 0 ? 0 : startBlock;
  return chunks.bits | (entrySize(chunks, indexes) === CHUNK_INDEX_SIZE ? CHUNK_INDEXES : 0);
}

function xattrCountOf(size: number): number {
  return size === 0 ? 0 : 1 + (size - XATTR_HEADER_SIZE) / XATTR_UNIT;
}
