import type { Timestamp } from '@anole/vfs';
import { ErofsError } from '../errors.ts';
import { INODE_SLOT, NO_BLOCK } from '../layout/inode.ts';
import { IN_METABOX } from '../layout/nid.ts';
import type { PlannedDevice } from './chunked/devices.ts';
import { storedRanges, tableSize } from './chunks.ts';
import { type Compressed, plannedCompressed } from './compress/compressed.ts';
import { indexesSize } from './compress/index-packs.ts';
import type { LateData } from './compress/late.ts';
import { aligned, frontEnd, prefixesPlace, storedStart } from './front.ts';
import type { Inode } from './inode.ts';
import { longPrefixesSize } from './long-prefixes.ts';
import { coreSize, measureInode } from './measure.ts';
import type { Settings } from './options.ts';
import { SlotAllocator } from './slots.ts';
import type { StoredData } from './stored.ts';
import { unnamedInode } from './unnamed-inode.ts';
import type { XattrItem, XattrPool } from './xattrs.ts';

/** Where everything of an image lies. */
export interface Plan {
  readonly settings: Settings;
  /** In the order of the scan, the first is the root; and those that no directory names. */
  readonly inodes: readonly Inode[];
  /** Those that lie in the image itself, and those in the metabox. */
  readonly outside: readonly Inode[];
  readonly inside: readonly Inode[];
  /** The metabox, and the directories that are compressed. */
  readonly metabox: Inode | undefined;
  readonly directories: readonly Inode[];
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
  /** First block of `late`. */
  readonly lateBlock: number;
  /** What is made of metadata once all else is laid out. */
  readonly late: LateData | undefined;
  readonly blocks: number;
}

/**
 * Lays an image out: superblock, stored data, inodes with what lies beside them, shared attributes,
 * directories, other files. All of it follows from names, attributes and sizes, so that the image can be
 * written from its first byte to its last without going back. Compressed directories and the metabox come last: what
 * is in them must be known first ({@link LateData}).
 */
export function plan(
  files: readonly Inode[],
  epoch: Timestamp,
  settings: Settings,
  pool: XattrPool,
  stored?: StoredData,
  devices: readonly PlannedDevice[] = [],
): Plan {
  const packed = stored?.packed ? [stored.packed] : [];
  const { blockSize } = settings;
  const directories = settings.compression?.directories
    ? files.filter(({ directory, size }) => directory && size > blockSize)
    : [];
  for (const inode of directories) {
    inode.compressed = plannedCompressed(inode.size, blockSize);
  }
  const metabox = settings.metabox ? placeInside(files, packed.length, epoch, settings) : undefined;
  const outside = [...(metabox ? [] : files), ...packed, ...(metabox ? [metabox] : [])];
  const inodes = [...files, ...packed, ...(metabox ? [metabox] : [])];
  const first = storedStart(settings);
  const metaBlock = stored?.blocks && !settings.hasBlob ? first + stored.blocks : 0;
  // Behind data there is nothing to leave room for, but no inode has the number 0.
  const reserved = metaBlock > 0 ? INODE_SLOT : frontEnd(settings);
  const metaEnd = placeHeads(outside, reserved, 0, settings);
  const xattrBlock = metaBlock + metaEnd / blockSize;
  const shared = pool.share(0, blockSize);
  const dataBlock = xattrBlock + Math.ceil(shared.end / blockSize);
  const lateBlock = placeData(inodes, dataBlock, settings);
  const blocks = sized(lateBlock, settings);
  // The first device has the addresses behind those of the image.
  placeStored(inodes, settings.hasBlob ? blocks : first);
  checkBlocks(blocks + devices.reduce((sum, device) => sum + device.blocks, 0));
  return {
    settings,
    inodes,
    outside,
    inside: metabox ? files : [],
    metabox,
    directories,
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
    lateBlock,
    late: undefined,
    blocks,
  };
}

/** Blocks of an image, what fills it up among them. */
function sized(blocks: number, { sizeUnit }: Settings): number {
  return Math.ceil(blocks / sizeUnit) * sizeUnit;
}

/** With what was made last. */
export function withLate(layout: Plan, late: LateData): Plan {
  const blocks = sized(layout.lateBlock + late.blocks, layout.settings);
  checkBlocks(blocks + layout.devices.reduce((sum, device) => sum + device.blocks, 0));
  return { ...layout, late, blocks };
}

/**
 * Gives inodes their numbers, and decides what lies beside them. Returns the byte behind them.
 *
 * @param reserved bytes at the start that are taken
 * @param base is added to their numbers
 */
function placeHeads(
  inodes: readonly Inode[],
  reserved: number,
  base: number,
  settings: Settings,
): number {
  const start = Math.ceil(reserved / INODE_SLOT) * INODE_SLOT;
  const slots = new SlotAllocator(settings.blockSize, start);
  for (const inode of inodes) {
    chooseTail(inode, settings);
    inode.nid = base + slots.place(headSize(inode, settings)) / INODE_SLOT;
  }
  return slots.end;
}

/** Lays the metabox out, and returns its inode. */
function placeInside(
  files: readonly Inode[],
  others: number,
  epoch: Timestamp,
  settings: Settings,
): Inode {
  const { xattrPrefixes, blockSize } = settings;
  const reserved = prefixesPlace(settings) === 'metabox' ? longPrefixesSize(xattrPrefixes) : 0;
  const size = placeHeads(files, reserved, IN_METABOX, settings);
  const ino = files.length + others + 1;
  const read = () => new Uint8Array(0);
  const inode = unnamedInode({ ino, name: 'the metabox', size, time: files[0]!, read });
  measureInode(inode, epoch, settings);
  inode.compressed = plannedCompressed(size, blockSize);
  return inode;
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
