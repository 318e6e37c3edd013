import { type Flow, viewOf } from '@anole/bytes';
import type { Stat } from '@anole/vfs';
import { decodeDevice, typeOfMode } from '@anole/vfs';
import { damaged, type ErofsError } from '../errors.ts';
import {
  COMPACT_SIZE,
  CompactInode,
  EXTENDED_SIZE,
  ExtendedInode,
  FORMAT_EXTENDED,
  FORMAT_LAYOUT_MASK,
  FORMAT_LAYOUT_SHIFT,
  FORMAT_ONE_LINK,
  INODE_SLOT,
  layouts,
} from '../layout/inode.ts';
import { IN_METABOX } from '../layout/nid.ts';
import { XATTR_HEADER_SIZE, XATTR_UNIT } from '../layout/xattr.ts';
import type { Metadata } from './metadata.ts';
import type { Spaces } from './spaces.ts';
import type { ImageInfo } from './superblock.ts';

/** Longest link target that Linux follows, and more than it makes. */
const TARGET_MAX = 4096;

/** An inode as the image has it. */
export interface InodeInfo {
  readonly nid: number;
  /** Where the inode lies, and what stands behind it. */
  readonly space: Metadata;
  /** Byte of the space at which the inode begins. */
  readonly offset: number;
  readonly stat: Stat;
  readonly layout: number;
  /** As it is stored: the layout and flags. */
  readonly format: number;
  /** Byte of the space after the inode, and how many bytes of attributes lie there. */
  readonly xattrOffset: number;
  readonly xattrSize: number;
  /** First block, device number or chunk format. */
  readonly data: number;
  /** Bits 32 to 47 of the first block. */
  readonly dataHigh: number;
}

/** @throws ErofsError `EROFS_OUT_OF_RANGE`, `EROFS_BAD_INODE` */
export function* readInode(spaces: Spaces, info: ImageInfo, nid: number): Flow<InodeInfo> {
  const now = inodeAtOnce(spaces, info, nid);
  if (now) return now;
  const metadata = spaces.of(nid);
  const offset = offsetOf(info, nid);
  const head = yield* metadata.read(offset, COMPACT_SIZE, `inode ${nid}`);
  return isExtended(head)
    ? inodeOf(metadata, info, nid, yield* metadata.read(offset, EXTENDED_SIZE, `inode ${nid}`))
    : inodeOf(metadata, info, nid, head);
}

/**
 * As {@link readInode}, of one that lies in metadata that are here, as most do beside one that was read: steps of generators
 * take longer than looking at it. Undefined elsewhere.
 *
 * @throws ErofsError `EROFS_BAD_INODE`
 */
export function inodeAtOnce(spaces: Spaces, info: ImageInfo, nid: number): InodeInfo | undefined {
  const metadata = spaces.of(nid);
  const offset = offsetOf(info, nid);
  const head = metadata.peek(offset, COMPACT_SIZE);
  const bytes = head && isExtended(head) ? metadata.peek(offset, EXTENDED_SIZE) : head;
  return bytes && inodeOf(metadata, info, nid, bytes);
}

function isExtended(head: Uint8Array): boolean {
  return (head[0]! & FORMAT_EXTENDED) !== 0;
}

function inodeOf(metadata: Metadata, info: ImageInfo, nid: number, bytes: Uint8Array): InodeInfo {
  const offset = offsetOf(info, nid);
  const extended = isExtended(bytes);
  const raw = extended ? decodeExtended(bytes, offset) : decodeCompact(bytes, info);
  const layout = (raw.format >> FORMAT_LAYOUT_SHIFT) & FORMAT_LAYOUT_MASK;
  if (layout > layouts.chunked) throw bad(nid, `its data layout is ${layout}`, offset);
  const type = typeOfMode(raw.mode);
  if (type === undefined) throw bad(nid, `its mode is 0o${raw.mode.toString(8)}`, offset);
  if (type === 'symlink' && raw.size > TARGET_MAX) {
    throw bad(nid, `its link target has ${raw.size} bytes`, offset);
  }
  const isDevice = type === 'character' || type === 'block';
  return {
    nid,
    space: metadata,
    offset,
    layout,
    format: raw.format,
    xattrOffset: offset + (extended ? EXTENDED_SIZE : COMPACT_SIZE),
    xattrSize: raw.xattrCount === 0 ? 0 : XATTR_HEADER_SIZE + (raw.xattrCount - 1) * XATTR_UNIT,
    data: raw.data,
    dataHigh: raw.dataHigh,
    stat: {
      ino: inoOf(info, nid),
      type,
      mode: raw.mode & 0o7777,
      uid: raw.uid,
      gid: raw.gid,
      size: type === 'file' || type === 'directory' || type === 'symlink' ? raw.size : 0,
      nlink: raw.nlink,
      mtime: { seconds: raw.seconds, nanoseconds: raw.nanoseconds },
      ...(isDevice ? { rdev: decodeDevice(raw.data) } : {}),
    },
  };
}

/** Byte of its space at which an inode begins. */
export function offsetOf(info: ImageInfo, nid: number): number {
  return nid < IN_METABOX ? info.metaOffset + nid * INODE_SLOT : (nid - IN_METABOX) * INODE_SLOT;
}

/** The number that Linux shows. Source: Linux fs/erofs/inode.c, erofs_nid_to_ino64. */
export function inoOf(info: ImageInfo, nid: number): number {
  if (info.metaboxNid !== undefined) {
    const inside = nid % IN_METABOX;
    const low = inside % 2 ** 31;
    return Math.floor(inside / 2 ** 31) * 2 ** 32 + low + (nid < IN_METABOX ? 0 : 2 ** 31);
  }
  // A Tree's numbers begin at 1, and nid 0 exists after the first block.
  return info.metaOffset === 0 ? nid : nid + 1;
}

/** The nid for a number that {@link inoOf} gave. */
export function nidOf(info: ImageInfo, ino: number): number {
  if (info.metaboxNid === undefined) return info.metaOffset === 0 ? ino : ino - 1;
  const inside = Math.floor(ino / 2 ** 32) * 2 ** 31 + (ino % 2 ** 31);
  return inside + (Math.floor(ino / 2 ** 31) % 2 === 0 ? 0 : IN_METABOX);
}

/** What both kinds of inodes have. By fields: images have as many as files, and a record of all is slow. */
function common({ format, xattrCount, mode, size, data, uid, gid }: CommonFields) {
  return { format, xattrCount, mode, size, data, uid, gid };
}

type CommonFields = Readonly<
  Record<'format' | 'xattrCount' | 'mode' | 'size' | 'data' | 'uid' | 'gid', number>
>;

function decodeCompact(bytes: Uint8Array, info: ImageInfo) {
  const inode = CompactInode.at(viewOf(bytes));
  const { format, mode, nlink } = inode;
  const hasOneLink = (format & FORMAT_ONE_LINK) !== 0 && typeOfMode(mode) !== 'directory';
  return {
    ...common(inode),
    nlink: hasOneLink ? 1 : nlink,
    dataHigh: hasOneLink ? nlink : 0,
    seconds: info.epoch + inode.mtime,
    nanoseconds: info.fixedNanoseconds,
  };
}

function decodeExtended(bytes: Uint8Array, offset: number) {
  const view = viewOf(bytes);
  // 64-bit fields are looked at before they become numbers.
  const size = view.getBigUint64(ExtendedInode.offsets.size, true);
  const mtime = view.getBigInt64(ExtendedInode.offsets.mtime, true);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw damaged('EROFS_BAD_INODE', `Cannot read an inode of ${size} bytes`, offset);
  }
  if (mtime > 2n ** 53n - 1n || mtime < -(2n ** 53n) + 1n) {
    throw damaged('EROFS_BAD_INODE', `Cannot read an inode of the time ${mtime} s`, offset);
  }
  const inode = ExtendedInode.at(view);
  const { nlink, dataHigh, mtimeNanoseconds } = inode;
  const nanoseconds = Math.min(mtimeNanoseconds, 999_999_999);
  return { ...common(inode), nlink, dataHigh, seconds: Number(mtime), nanoseconds };
}

function bad(nid: number, reason: string, offset: number): ErofsError {
  return damaged('EROFS_BAD_INODE', `Cannot read inode ${nid}: ${reason}`, offset);
}
