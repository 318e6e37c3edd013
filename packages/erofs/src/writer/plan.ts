import type { Timestamp } from '@anole/vfs';
import { ErofsError } from '../errors.ts';
import { BLOCK_MAP_ENTRY_SIZE } from '../layout/chunk.ts';
import { COMPACT_SIZE, EXTENDED_SIZE, INODE_SLOT, NO_BLOCK } from '../layout/inode.ts';
import { SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE } from '../layout/superblock.ts';
import { storedRanges } from './chunks.ts';
import type { CompressionResult } from './compress/compress-files.ts';
import type { Compressed } from './compress/compressed.ts';
import { configsSize } from './compress/configs.ts';
import { indexesSize } from './compress/index-packs.ts';
import type { Spool } from './compress/spool.ts';
import type { Inode } from './inode.ts';
import type { Settings } from './options.ts';
import { SlotAllocator } from './slots.ts';
import { type XattrItem, type XattrPool, xattrSize } from './xattrs.ts';

/** Where everything of an image lies. */
export interface Plan {
  readonly settings: Settings;
  /** In the order of the scan; the first is the root. */
  readonly inodes: readonly Inode[];
  /** The time of compact inodes. */
  readonly epoch: Timestamp;
  /** First block of the shared attributes, and they themselves in order. */
  readonly xattrBlock: number;
  readonly sharedXattrs: readonly XattrItem[];
  readonly hasXattrs: boolean;
  readonly hasChunks: boolean;
  readonly hasCompressed: boolean;
  /** The inode that holds fragments. */
  readonly packed: Inode | undefined;
  /** Where compressed data wait. */
  readonly spool: Spool | undefined;
  /** First block after all metadata. */
  readonly dataBlock: number;
  readonly blocks: number;
}

/**
 * Lays an image out: superblock, inodes with what lies beside them, shared attributes, directories,
 * files. All of it follows from names, attributes and sizes, so that the image can be written from
 * its first byte to its last without going back.
 */
export function plan(
  files: readonly Inode[],
  settings: Settings,
  pool: XattrPool,
  compression?: CompressionResult,
): Plan {
  const packed = compression?.packed;
  const inodes = packed ? [...files, packed] : files;
  const { blockSize } = settings;
  const epoch = commonTime(inodes);
  const reserved = SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE + configsSize(inodes, settings);
  const slots = new SlotAllocator(blockSize, Math.ceil(reserved / INODE_SLOT) * INODE_SLOT);
  for (const inode of inodes) {
    inode.extended = settings.extendedOnly || !fitsCompact(inode, epoch);
    inode.xattrSize = xattrSize(inode.xattrs);
    chooseTail(inode, settings);
    inode.nid = slots.place(headSize(inode)) / INODE_SLOT;
  }
  const xattrBlock = slots.end / blockSize;
  const shared = pool.share(0, blockSize);
  const dataBlock = xattrBlock + Math.ceil(shared.end / blockSize);
  return {
    settings,
    inodes,
    epoch,
    xattrBlock,
    sharedXattrs: shared.items,
    hasXattrs: !pool.empty,
    hasChunks: inodes.some((inode) => inode.chunks !== undefined),
    hasCompressed: inodes.some((inode) => inode.compressed !== undefined),
    packed,
    spool: compression?.spool,
    dataBlock,
    blocks: placeData(inodes, dataBlock),
  };
}

export function coreSize(inode: Inode): number {
  return inode.extended ? EXTENDED_SIZE : COMPACT_SIZE;
}

/** Bytes in the metadata: inode, attributes, chunk table or tail. */
export function headSize(inode: Inode): number {
  return (
    coreSize(inode) +
    inode.xattrSize +
    (inode.compressed ? compressedHeadSize(inode, inode.compressed) : 0) +
    (inode.chunks?.count ?? 0) * BLOCK_MAP_ENTRY_SIZE +
    inode.tailSize
  );
}

/** Map header, indexes and inline data. */
function compressedHeadSize(inode: Inode, compressed: Compressed): number {
  return indexesSize(compressed, coreSize(inode) + inode.xattrSize) + compressed.inlineSize;
}

function chooseTail(inode: Inode, { blockSize, inlineTails }: Settings): void {
  const { compressed } = inode;
  if (compressed !== undefined) {
    // Inline data must not cross a block. What is larger than a block begins at one.
    compressed.inlineSize = 0;
    const used = headSize(inode) % blockSize;
    const fits = compressed.tailSize > 0 && used + compressed.tailSize <= blockSize;
    if (fits) compressed.inlineSize = compressed.tailSize;
    inode.blocks = compressed.blocks + (compressed.tailSize > 0 && !fits ? 1 : 0);
    return;
  }
  if (inode.chunks !== undefined) {
    inode.blocks = storedRanges(inode.chunks, inode.size).reduce(
      (blocks, { length }) => blocks + Math.ceil(length / blockSize),
      0,
    );
    return;
  }
  const tail = inode.size % blockSize;
  // A tail must not cross a block, nor must what is before it push it out of the inode's own.
  const fits = coreSize(inode) + inode.xattrSize + tail <= blockSize;
  inode.tailSize = inlineTails && fits ? tail : 0;
  inode.blocks = Math.ceil((inode.size - inode.tailSize) / blockSize);
}

/** Directories first, so that a walk reads one run of blocks. Returns the block after the last. */
function placeData(inodes: readonly Inode[], first: number): number {
  let block = first;
  for (const wanted of [true, false]) {
    for (const inode of inodes) {
      if (inode.blocks === 0 || (inode.directory !== undefined) !== wanted) continue;
      inode.startBlock = block;
      block += inode.blocks;
    }
  }
  if (block < NO_BLOCK) return block;
  throw new ErofsError(
    'EROFS_CANNOT_STORE',
    `Cannot write an image of ${block} blocks: the format counts at most ${NO_BLOCK - 1}`,
    { details: { blocks: block }, hint: 'give a larger block size' },
  );
}

/**
 * Compact inodes have no time of their own that kernels before 6.15 read: they share one. The one
 * that most inodes have lets most be compact. Ties go to the earlier inode.
 */
function commonTime(inodes: readonly Inode[]): Timestamp {
  const counts = new Map<string, { time: Timestamp; count: number }>();
  for (const { mtime } of inodes) {
    const key = `${mtime.seconds}.${mtime.nanoseconds}`;
    const entry = counts.get(key);
    if (entry) entry.count++;
    else counts.set(key, { time: mtime, count: 1 });
  }
  let best = { time: { seconds: 0, nanoseconds: 0 }, count: 0 };
  for (const entry of counts.values()) if (entry.count > best.count) best = entry;
  return best.time;
}

function fitsCompact({ stat, size, nlink, mtime }: Inode, epoch: Timestamp): boolean {
  return (
    stat.uid <= 0xffff &&
    stat.gid <= 0xffff &&
    nlink <= 0xffff &&
    size <= 0xffffffff &&
    mtime.seconds === epoch.seconds &&
    mtime.nanoseconds === epoch.nanoseconds
  );
}
