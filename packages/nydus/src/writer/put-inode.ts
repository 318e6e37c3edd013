import { viewOf } from '@anole/bytes';
import {
  CHUNK_INDEX_SIZE,
  CHUNK_INDEXES,
  ChunkIndex,
  directoryBlocks,
  EXTENDED_SIZE,
  ExtendedInode,
  FORMAT_EXTENDED,
  FORMAT_LAYOUT_SHIFT,
  layouts,
  XATTR_HEADER_SIZE,
  XATTR_UNIT,
} from '@anole/erofs/format';
import { encodeDevice, modeOfType } from '@anole/vfs';
import type { BlobRef } from './chunks.ts';
import type { Inode } from './inode.ts';
import { BLOCK_SIZE } from './scan.ts';

interface Place {
  /** What is to be added to offsets of inodes. */
  readonly metaOffset: number;
  readonly indexOf: ReadonlyMap<BlobRef, number>;
  readonly chunkSize: number;
}

/** An inode, its attributes, and what stands beside it or, of directories and links, elsewhere. */
export function putInode(bytes: Uint8Array, inode: Inode, place: Place): void {
  const { stat, xattrs, size, target, directory } = inode;
  const offset = place.metaOffset + inode.offset;
  const view = viewOf(bytes);
  const layout = layoutOf(inode);
  ExtendedInode.write(view, offset, {
    format: FORMAT_EXTENDED | (layout << FORMAT_LAYOUT_SHIFT),
    xattrCount: xattrs.length === 0 ? 0 : 1 + (xattrs.length - XATTR_HEADER_SIZE) / XATTR_UNIT,
    mode: modeOfType[stat.type] | stat.mode,
    dataHigh: 0,
    size,
    data: dataOf(inode, place),
    ino: inode.ino,
    uid: stat.uid,
    gid: stat.gid,
    mtime: stat.mtime.seconds,
    mtimeNanoseconds: stat.mtime.nanoseconds,
    nlink: inode.nlink,
  });
  const end = offset + EXTENDED_SIZE + xattrs.length;
  bytes.set(xattrs, offset + EXTENDED_SIZE);
  if (directory) {
    let at = place.metaOffset + inode.dataOffset;
    for (const block of directoryBlocks(directory, BLOCK_SIZE)) {
      bytes.set(block, inode.inline && block.length < BLOCK_SIZE ? end : at);
      at += BLOCK_SIZE;
    }
  } else if (target) {
    // No link target takes a whole block.
    bytes.set(target, inode.inline ? end : place.metaOffset + inode.dataOffset);
  } else if (stat.type === 'file') putIndexes(view, end, inode, place);
}

function putIndexes(view: DataView, end: number, { chunks }: Inode, { indexOf }: Place): void {
  const start = Math.ceil(end / CHUNK_INDEX_SIZE) * CHUNK_INDEX_SIZE;
  chunks.forEach(({ blob, chunk: { index, offset } }, at) => {
    // The number of the chunk has the bits that Linux does not look at.
    ChunkIndex.write(view, start + at * CHUNK_INDEX_SIZE, {
      blockHigh: index & 0xffff,
      deviceId: ((index >>> 16) << 8) | (indexOf.get(blob)! + 1),
      block: offset / BLOCK_SIZE,
    });
  });
}

function layoutOf({ stat, inline }: Inode): number {
  if (stat.type === 'file') return layouts.chunked;
  return inline ? layouts.inline : layouts.plain;
}

function dataOf(inode: Inode, { metaOffset, chunkSize }: Place): number {
  const { stat } = inode;
  switch (stat.type) {
    case 'file':
      return CHUNK_INDEXES | (Math.log2(extentSize(inode, chunkSize)) - Math.log2(BLOCK_SIZE));
    case 'directory':
    case 'symlink':
      return Math.floor((metaOffset + inode.dataOffset) / BLOCK_SIZE);
    case 'character':
    case 'block':
      return encodeDevice(stat.rdev ?? { major: 0, minor: 0 });
    default:
      return 0;
  }
}

/** Chunks that lie one after the other are one to Linux, so that it reads them together. */
function extentSize({ chunks, size }: Inode, chunkSize: number): number {
  if (size <= chunkSize) return chunkSize;
  const together = chunks.every(({ blob, chunk: { offset } }, at) => {
    const before = chunks[at - 1];
    return (
      before === undefined || (before.blob === blob && before.chunk.offset + chunkSize === offset)
    );
  });
  return together ? 2 ** Math.ceil(Math.log2(size)) : chunkSize;
}
