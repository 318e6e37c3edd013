import { type Flow, flow, isPromise, Pacer } from '@anole/bytes';
import { CLUSTER_WHOLE_FRAGMENT, MAP_HEADER_SIZE, mapHeaderOffset } from '../layout/compression.ts';
import {
  COMPACT_SIZE,
  CompactInode,
  EXTENDED_SIZE,
  ExtendedInode,
  FORMAT_EXTENDED,
  FORMAT_LAYOUT_MASK,
  FORMAT_LAYOUT_SHIFT,
  layouts,
} from '../layout/inode.ts';
import { nidOf } from '../layout/nid.ts';
import type { DataReader } from './data.ts';
import { DirectoryBlock } from './directory.ts';
import { type InodeInfo, offsetOf, readInode } from './inode.ts';
import { InodeSet } from './inode-set.ts';
import type { Spaces } from './spaces.ts';
import type { ImageInfo } from './superblock.ts';
import type { XattrReader } from './xattrs.ts';

/** Types of a mode, stat.h. */
const S_IFMT = 0xf000;
const S_IFREG = 0x8000;
const S_IFLNK = 0xa000;
/** High halves of sizes from which on they are no numbers any more. */
const HIGH_MAX = 2 ** 21;

/** What an image is read by. */
export interface ImageReaders {
  readonly info: ImageInfo;
  readonly spaces: Spaces;
  readonly data: DataReader;
  readonly xattrs: XattrReader;
}

/**
 * Reads all that Linux takes for metadata, of every inode. Most are small and lie in what the one before brought: of
 * those a few numbers are looked at and nothing is made, since there may be a hundred thousand.
 *
 * @throws ErofsError
 */
export async function loadAllMetadata(image: ImageReaders): Promise<void> {
  const { info, spaces } = image;
  const { rootNid, packedNid } = info;
  const left = [rootNid];
  if (packedNid !== undefined) {
    left.push(nidOf(Number(packedNid & 0xffffffffn), Number(packedNid >> 32n)));
  }
  const seen = new InodeSet();
  for (const nid of left) seen.add(nid);
  const pacer = new Pacer();
  for (let nid = left.pop(); nid !== undefined; nid = left.pop()) {
    if (isHere(spaces, info, nid)) continue;
    const loaded = flow(() => loadInode(image, nid!, { seen, left, pacer }));
    if (isPromise(loaded)) await loaded;
    // Readers of other images have their turn.
    const turn = pacer.turn();
    if (turn) await turn;
  }
}

/**
 * Whether a file or a link has all of its metadata in the piece of memory in which it begins. False also where that
 * is not seen at once.
 */
function isHere(spaces: Spaces, info: ImageInfo, nid: number): boolean {
  const offset = offsetOf(info, nid);
  const piece = spaces.of(nid).pieceAt(offset, COMPACT_SIZE);
  if (piece === undefined) return false;
  const { view } = piece;
  const at = offset - piece.start;
  const format = view.getUint16(at + CompactInode.offsets.format, true);
  const isExtended = (format & FORMAT_EXTENDED) !== 0;
  const end = at + (isExtended ? EXTENDED_SIZE : COMPACT_SIZE);
  if (end > view.byteLength || view.getUint16(at + CompactInode.offsets.xattrCount, true) > 0) {
    return false;
  }
  const type = view.getUint16(at + CompactInode.offsets.mode, true) & S_IFMT;
  if (type !== S_IFREG && type !== S_IFLNK) return false;
  const sizeAt = at + (isExtended ? ExtendedInode : CompactInode).offsets.size;
  const low = view.getUint32(sizeAt, true);
  const high = isExtended ? view.getUint32(sizeAt + 4, true) : 0;
  if (high >= HIGH_MAX) return false;
  const layout = (format >> FORMAT_LAYOUT_SHIFT) & FORMAT_LAYOUT_MASK;
  if (low === 0 && high === 0) return layout <= layouts.chunked;
  if (layout === layouts.plain) return type === S_IFREG;
  if (layout === layouts.inline) {
    if (type === S_IFLNK && (high > 0 || low >= info.blockSize)) return false;
    // Blocks are powers of two: the low half tells.
    return end + (low % info.blockSize) <= view.byteLength;
  }
  if (layout !== layouts.compressedFull && layout !== layouts.compressedCompact) return false;
  const header = mapHeaderOffset(end);
  if (type !== S_IFREG || header + MAP_HEADER_SIZE > view.byteLength) return false;
  return (view.getUint8(header + MAP_HEADER_SIZE - 1) & CLUSTER_WHOLE_FRAGMENT) !== 0;
}

/** How far it has come. */
interface Progress {
  readonly seen: InodeSet;
  readonly left: number[];
  readonly pacer: Pacer;
}

/** Of a directory, the inodes that it names are left to be loaded. @throws ErofsError also where a block is named twice */
function* loadInode(image: ImageReaders, nid: number, { seen, left, pacer }: Progress): Flow<void> {
  const { info, spaces } = image;
  const inode = yield* readInode(spaces, info, nid);
  yield* loadBeside(image, inode);
  if (inode.stat.type !== 'directory') return;
  const { blockSize } = info;
  let before: Uint8Array = new Uint8Array(0);
  for (let offset = 0; offset < inode.stat.size; offset += blockSize) {
    const block = new DirectoryBlock(yield* image.data.read(inode, offset, blockSize), inode);
    before = block.firstBehind(before);
    for (let index = 0; index < block.count; index++) {
      const named = block.nid(index);
      if (seen.has(named)) continue;
      // What lies outside is refused when it is read, and not remembered: there may be any number of it.
      if (offsetOf(info, named) < spaces.of(named).source.size) seen.add(named);
      left.push(named);
    }
    const turn = pacer.turn();
    if (turn) yield turn;
  }
}

/** Reads all that Linux takes for metadata of an inode but a directory's names. */
function* loadBeside({ data, xattrs }: ImageReaders, inode: InodeInfo): Flow<void> {
  if (inode.xattrSize > 0) yield* xattrs.all(inode);
  const { type, size } = inode.stat;
  if (type === 'symlink') yield* data.read(inode, 0, size);
  yield* data.loadBehind(inode);
}
