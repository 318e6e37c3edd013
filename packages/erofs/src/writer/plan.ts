import type { Timestamp } from '@anole/vfs';
import { ErofsError } from '../errors.ts';
import { BLOCK_MAP_ENTRY_SIZE } from '../layout/chunk.ts';
import { INODE_SLOT, NO_BLOCK } from '../layout/inode.ts';
import { SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE } from '../layout/superblock.ts';
import { storedRanges } from './chunks.ts';
import type { CompressionResult } from './compress/compress-files.ts';
import type { Compressed } from './compress/compressed.ts';
import { configsSize } from './compress/configs.ts';
import { indexesSize } from './compress/index-packs.ts';
import type { Inode } from './inode.ts';
import { coreSize } from './measure.ts';
import type { Settings } from './options.ts';
import { SlotAllocator } from './slots.ts';
import type { XattrItem, XattrPool } from './xattrs.ts';

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
  /** What compressing gave: its blocks lie between the superblock and the metadata. */
  readonly compression: CompressionResult | undefined;
  /** First block of the metadata: numbers of inodes count from there. */
  readonly metaBlock: number;
  /** First block after all metadata. */
  readonly dataBlock: number;
  readonly blocks: number;
}

/** First block of compressed data: what comes before them has a size that is known beforehand. */
export function compressedStart(settings: Settings): number {
  return Math.ceil(headEnd(settings) / settings.blockSize);
}

function headEnd(settings: Settings): number {
  return SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE + configsSize(settings);
}

/**
 * Lays an image out: superblock, compressed data, inodes with what lies beside them, shared attributes,
 * directories, other files. All of it follows from names, attributes and sizes, so that the image can be
 * written from its first byte to its last without going back.
 */
export function plan(
  files: readonly Inode[],
  epoch: Timestamp,
  settings: Settings,
  pool: XattrPool,
  compression?: CompressionResult,
): Plan {
  const packed = compression?.packed;
  const inodes = packed ? [...files, packed] : files;
  const { blockSize } = settings;
  const first = compressedStart(settings);
  const metaBlock = compression?.blocks ? first + compression.blocks : 0;
  // Behind data there is nothing to leave room for, but no inode has the number 0.
  const reserved = metaBlock > 0 ? INODE_SLOT : headEnd(settings);
  const slots = new SlotAllocator(blockSize, Math.ceil(reserved / INODE_SLOT) * INODE_SLOT);
  for (const inode of inodes) {
    chooseTail(inode, settings, first);
    inode.nid = slots.place(headSize(inode)) / INODE_SLOT;
  }
  const xattrBlock = metaBlock + slots.end / blockSize;
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
    compression,
    metaBlock,
    dataBlock,
    blocks: placeData(inodes, dataBlock),
  };
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

function chooseTail(inode: Inode, { blockSize, inlineTails }: Settings, first: number): void {
  const { compressed } = inode;
  if (compressed !== undefined) {
    inode.blocks = compressed.blocks;
    inode.startBlock = first + compressed.firstBlock;
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
      if (inode.blocks === 0 || inode.compressed) continue;
      if ((inode.directory !== undefined) !== wanted) continue;
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
