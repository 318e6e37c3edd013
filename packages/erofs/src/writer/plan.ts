import type { Timestamp } from '@anole/vfs';
import { ErofsError } from '../errors.ts';
import { DEVICE_SLOT_SIZE } from '../layout/device.ts';
import { INODE_SLOT, NO_BLOCK } from '../layout/inode.ts';
import { SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE } from '../layout/superblock.ts';
import { XATTR_UNIT } from '../layout/xattr.ts';
import type { PlannedDevice } from './chunked/devices.ts';
import { storedRanges, tableSize } from './chunks.ts';
import type { Compressed } from './compress/compressed.ts';
import { configsSize } from './compress/configs.ts';
import { indexesSize } from './compress/index-packs.ts';
import type { Inode } from './inode.ts';
import { longPrefixesSize } from './long-prefixes.ts';
import { coreSize } from './measure.ts';
import type { Settings } from './options.ts';
import { SlotAllocator } from './slots.ts';
import type { StoredData } from './stored.ts';
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
  /** Data that are written already: between the superblock and the metadata, or beside the image. */
  readonly stored: StoredData | undefined;
  /** Devices beside the image. */
  readonly devices: readonly PlannedDevice[];
  /** First block of the metadata: numbers of inodes count from there. */
  readonly metaBlock: number;
  /** First block after all metadata. */
  readonly dataBlock: number;
  readonly blocks: number;
}

/** First block of stored data: what comes before them has a size that is known beforehand. */
export function storedStart(settings: Settings): number {
  return aligned(Math.ceil(headEnd(settings) / settings.blockSize), settings);
}

/** The first block from `block` on at which data of files may begin. */
function aligned(block: number, { dataUnit }: Settings): number {
  return Math.ceil(block / dataUnit) * dataUnit;
}

/** Byte at which the device table begins. */
export function devicesStart(settings: Settings): number {
  const end = SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE + configsSize(settings);
  return Math.ceil(end / DEVICE_SLOT_SIZE) * DEVICE_SLOT_SIZE;
}

/** Byte at which the table of long prefixes begins, where it lies in the image. */
export function prefixesStart(settings: Settings): number {
  const { devices } = settings;
  const end =
    devices > 0
      ? devicesStart(settings) + devices * DEVICE_SLOT_SIZE
      : SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE + configsSize(settings);
  return Math.ceil(end / XATTR_UNIT) * XATTR_UNIT;
}

/** Whether the table of long prefixes lies in the packed inode: where there is one, readers look there. */
export function hasPackedPrefixes({ compression, xattrPrefixes }: Settings): boolean {
  return xattrPrefixes.length > 0 && compression?.tails === 'fragment';
}

function headEnd(settings: Settings): number {
  const start = prefixesStart(settings);
  return hasPackedPrefixes(settings) ? start : start + longPrefixesSize(settings.xattrPrefixes);
}

/**
 * Lays an image out: superblock, stored data, inodes with what lies beside them, shared attributes,
 * directories, other files. All of it follows from names, attributes and sizes, so that the image can be
 * written from its first byte to its last without going back.
 */
export function plan(
  files: readonly Inode[],
  epoch: Timestamp,
  settings: Settings,
  pool: XattrPool,
  stored?: StoredData,
  devices: readonly PlannedDevice[] = [],
): Plan {
  const packed = stored?.packed;
  const inodes = packed ? [...files, packed] : files;
  const { blockSize } = settings;
  const first = storedStart(settings);
  const metaBlock = stored?.blocks && !settings.hasBlob ? first + stored.blocks : 0;
  // Behind data there is nothing to leave room for, but no inode has the number 0.
  const reserved = metaBlock > 0 ? INODE_SLOT : headEnd(settings);
  const slots = new SlotAllocator(blockSize, Math.ceil(reserved / INODE_SLOT) * INODE_SLOT);
  for (const inode of inodes) {
    chooseTail(inode, settings);
    inode.nid = slots.place(headSize(inode, settings)) / INODE_SLOT;
  }
  const xattrBlock = metaBlock + slots.end / blockSize;
  const shared = pool.share(0, blockSize);
  const dataBlock = xattrBlock + Math.ceil(shared.end / blockSize);
  const blocks = placeData(inodes, dataBlock, settings);
  // The first device has the addresses behind those of the image.
  placeStored(inodes, settings.hasBlob ? blocks : first);
  checkBlocks(blocks + devices.reduce((sum, device) => sum + device.blocks, 0));
  return {
    settings,
    inodes,
    epoch,
    xattrBlock,
    sharedXattrs: shared.items,
    hasXattrs: !pool.empty,
    hasChunks: inodes.some((inode) => inode.chunks !== undefined),
    hasCompressed: inodes.some((inode) => inode.isCompressed),
    stored,
    devices,
    metaBlock,
    dataBlock,
    blocks,
  };
}

/** Bytes in the metadata: inode, attributes, chunk table or tail. */
export function headSize(inode: Inode, { chunks }: Settings): number {
  const end = coreSize(inode) + inode.xattrSize;
  const { compressed } = inode;
  return (
    end +
    (compressed ? compressedHeadSize(inode, compressed) : 0) +
    (inode.chunks ? tableSize(inode.chunks, end, chunks?.indexes ?? false) : 0) +
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
    inode.blocks = compressed.blocks;
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
function placeData(inodes: readonly Inode[], first: number, settings: Settings): number {
  let block = first;
  for (const wanted of [true, false]) {
    for (const inode of inodes) {
      if (inode.blocks === 0 || inode.isCompressed) continue;
      if ((inode.directory !== undefined) !== wanted) continue;
      if (inode.type === 'file') block = aligned(block, settings);
      inode.startBlock = block;
      block += inode.blocks;
    }
  }
  return block;
}

/** Of what is stored already, `first` is the block that all of it counts from. */
function placeStored(inodes: readonly Inode[], first: number): void {
  for (const inode of inodes) {
    const { compressed } = inode;
    if (compressed) inode.startBlock = first + compressed.firstBlock;
    else if (inode.chunks?.places) inode.startBlock = first;
  }
}

function checkBlocks(blocks: number): void {
  if (blocks < NO_BLOCK) return;
  throw new ErofsError(
    'EROFS_CANNOT_STORE',
    `Cannot write an image of ${blocks} blocks: the format counts at most ${NO_BLOCK - 1}`,
    { details: { blocks }, hint: 'give a larger block size' },
  );
}
