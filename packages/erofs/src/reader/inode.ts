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
  const bytes = isExtended(head[0]!)
    ? yield* metadata.read(offset, EXTENDED_SIZE, `inode ${nid}`)
    : head;
  return inodeOf(metadata, info, nid, viewOf(bytes), 0);
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
  const piece = metadata.pieceAt(offset, COMPACT_SIZE);
  if (piece === undefined) return undefined;
  const at = offset - piece.start;
  const isCut = isExtended(piece.bytes[at]!) && at + EXTENDED_SIZE > piece.bytes.length;
  return isCut ? undefined : inodeOf(metadata, info, nid, piece.view, at);
}

/** @param format the first byte of an inode */
function isExtended(format: number): boolean {
  return (format & FORMAT_EXTENDED) !== 0;
}

/** @param at where in the view all of the inode lies */
function inodeOf(
  metadata: Metadata,
  info: ImageInfo,
  nid: number,
  view: DataView,
  at: number,
): InodeInfo {
  const offset = offsetOf(info, nid);
  const extended = isExtended(view.getUint8(at));
  const raw = extended ? decodeExtended(view, at, offset) : decodeCompact(view, at, info);
  const layout = (raw.format >> FORMAT_LAYOUT_SHIFT) & FORMAT_LAYOUT_MASK;
  if (layout > layouts.chunked) throw bad(nid, `its data layout is ${layout}`, offset);
  const type = typeOfMode(raw.mode);
  if (type === undefined) throw bad(nid, `its mode is 0o${raw.mode.toString(8)}`, offset);
  if (type === 'symlink' && raw.size > TARGET_MAX) {
    throw bad(nid, `its link target has ${raw.size} bytes`, offset);
  }
  const isDevice = type === 'character' || type === 'block';
  const stat: Stat = {
    ino: inoOf(info, nid),
    type,
    mode: raw.mode & 0o7777,
    uid: raw.uid,
    gid: raw.gid,
    size: type === 'file' || type === 'directory' || type === 'symlink' ? raw.size : 0,
    nlink: raw.nlink,
    mtime: { seconds: raw.seconds, nanoseconds: raw.nanoseconds },
  };
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
    stat: isDevice ? { ...stat, rdev: decodeDevice(raw.data) } : stat,
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

// By fields, into objects of one shape: images have as many as files, and copies of records are slow.

function decodeCompact(view: DataView, at: number, info: ImageInfo) {
  const inode = CompactInode.at(view, at);
  const { format, mode, nlink } = inode;
  const hasOneLink = (format & FORMAT_ONE_LINK) !== 0 && typeOfMode(mode) !== 'directory';
  return {
    format,
    mode,
    xattrCount: inode.xattrCount,
    size: inode.size,
    data: inode.data,
    dataHigh: hasOneLink ? nlink : 0,
    uid: inode.uid,
    gid: inode.gid,
    nlink: hasOneLink ? 1 : nlink,
    seconds: info.epoch + inode.mtime,
    nanoseconds: info.fixedNanoseconds,
  };
}

function decodeExtended(view: DataView, at: number, offset: number) {
  const inode = ExtendedInode.at(view, at);
  // 64-bit fields are looked at before they become numbers.
  const size = numberOf(view, at + ExtendedInode.offsets.size, 0);
  const seconds = numberOf(view, at + ExtendedInode.offsets.mtime, -HIGH_MAX);
  if (size === undefined) {
    const met = view.getBigUint64(at + ExtendedInode.offsets.size, true);
    throw damaged('EROFS_BAD_INODE', `Cannot read an inode of ${met} bytes`, offset);
  }
  if (seconds === undefined) {
    const met = view.getBigInt64(at + ExtendedInode.offsets.mtime, true);
    throw damaged('EROFS_BAD_INODE', `Cannot read an inode of the time ${met} s`, offset);
  }
  return {
    format: inode.format,
    mode: inode.mode,
    xattrCount: inode.xattrCount,
    size,
    data: inode.data,
    dataHigh: inode.dataHigh,
    uid: inode.uid,
    gid: inode.gid,
    nlink: inode.nlink,
    seconds,
    nanoseconds: Math.min(inode.mtimeNanoseconds, 999_999_999),
  };
}

/** The high half of 64 bits from which on they are no safe integer. */
const HIGH_MAX = 2 ** 21;

/** 64 bits as a number; undefined where that is none exactly, or its high half is below `least`, 0 for unsigned ones. */
function numberOf(view: DataView, at: number, least: number): number | undefined {
  const high = least === 0 ? view.getUint32(at + 4, true) : view.getInt32(at + 4, true);
  const isSafe = high >= least && high < HIGH_MAX;
  const number = high * 2 ** 32 + view.getUint32(at, true);
  return isSafe && Number.isSafeInteger(number) ? number : undefined;
}

function bad(nid: number, reason: string, offset: number): ErofsError {
  return damaged('EROFS_BAD_INODE', `Cannot read inode ${nid}: ${reason}`, offset);
}
