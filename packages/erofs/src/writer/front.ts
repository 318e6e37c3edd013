import { DEVICE_SLOT_SIZE } from '../layout/device.ts';
import { SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, SUPERBLOCK_SLOT_SIZE } from '../layout/superblock.ts';
import { XATTR_UNIT } from '../layout/xattr.ts';
import { configsSize } from './compress/configs.ts';
import { longPrefixesSize } from './long-prefixes.ts';
import type { Settings } from './options.ts';

/** First block of stored data: what comes before them has a size that is known beforehand. */
export function storedStart(settings: Settings): number {
  return aligned(Math.ceil(frontEnd(settings) / settings.blockSize), settings);
}

/** The first block from `block` on at which data of files may begin. */
export function aligned(block: number, { dataUnit }: Settings): number {
  return Math.ceil(block / dataUnit) * dataUnit;
}

/** Slots by which the superblock is longer: the first one names the metabox. */
export function superblockSlots({ metabox }: Settings): number {
  return metabox ? 1 : 0;
}

/** Byte behind the superblock and what describes the algorithms. */
function configsEnd(settings: Settings): number {
  const slots = superblockSlots(settings) * SUPERBLOCK_SLOT_SIZE;
  return SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE + slots + configsSize(settings);
}

/** Byte at which the device table begins. */
export function devicesStart(settings: Settings): number {
  return Math.ceil(configsEnd(settings) / DEVICE_SLOT_SIZE) * DEVICE_SLOT_SIZE;
}

/** Byte at which the table of long prefixes begins, where it lies in the image. */
export function prefixesStart(settings: Settings): number {
  const { devices } = settings;
  const end =
    devices > 0 ? devicesStart(settings) + devices * DEVICE_SLOT_SIZE : configsEnd(settings);
  return Math.ceil(end / XATTR_UNIT) * XATTR_UNIT;
}

/** Where the table of long prefixes lies: in the metabox or the packed inode, where there is one, as readers look there. */
export function prefixesPlace({
  compression,
  xattrPrefixes,
  metabox,
}: Settings): 'image' | 'packed' | 'metabox' | undefined {
  if (xattrPrefixes.length === 0) return undefined;
  if (metabox) return 'metabox';
  return compression?.tails === 'fragment' ? 'packed' : 'image';
}

/** Byte behind all that comes before inodes and data. */
export function frontEnd(settings: Settings): number {
  const start = prefixesStart(settings);
  if (prefixesPlace(settings) !== 'image') return start;
  return start + longPrefixesSize(settings.xattrPrefixes);
}
