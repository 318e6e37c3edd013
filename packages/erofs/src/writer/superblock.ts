import { viewOf } from '@anole/bytes';
import { checkedEnd, superblockChecksum } from '../checksum.ts';
import { DEVICE_SLOT_SIZE } from '../layout/device.ts';
import { nidField } from '../layout/nid.ts';
import {
  COMPAT_CHECKSUM,
  COMPAT_DIGESTS,
  COMPAT_MTIME,
  COMPAT_XATTR_FILTER,
  INCOMPAT_48BIT,
  INCOMPAT_CHUNKED_FILE,
  INCOMPAT_DEVICE_TABLE,
  INCOMPAT_METABOX,
  INCOMPAT_XATTR_PREFIXES,
  SUPERBLOCK_MAGIC,
  SUPERBLOCK_OFFSET,
  Superblock,
  SuperblockSlot,
} from '../layout/superblock.ts';
import { XATTR_UNIT } from '../layout/xattr.ts';
import { compressionFields } from './compress/configs.ts';
import { devicesStart, prefixesPlace, prefixesStart, superblockSlots } from './front.ts';
import type { Settings } from './options.ts';
import type { Plan } from './plan.ts';

/** The superblock, its checksum still 0: that covers what comes after it in its block. */
export function encodeSuperblock(plan: Plan, uuid: Uint8Array): Uint8Array {
  const { settings, inodes, epoch } = plan;
  const volumeName = new Uint8Array(16);
  volumeName.set(settings.volumeName);
  const compression = compressionFields(plan);
  const rootNid = inodes[0]!.nid;
  const isWide = settings.compactTimes && rootNid > 0xffff;
  return Superblock.encode({
    magic: SUPERBLOCK_MAGIC,
    checksum: 0,
    featureCompat:
      COMPAT_MTIME |
      (settings.checksum ? COMPAT_CHECKSUM : 0) |
      (plan.hasXattrs ? COMPAT_XATTR_FILTER : 0) |
      (settings.digests ? COMPAT_DIGESTS : 0),
    blockBits: settings.blockBits,
    extensionSlots: superblockSlots(settings),
    // With 48 bits it may lie elsewhere: here are more bits of the number of blocks, then.
    rootNid: isWide ? 0 : rootNid,
    inodes: BigInt(inodes.length),
    epoch: epoch.seconds,
    fixedNanoseconds: epoch.nanoseconds,
    blocks: plan.blocks,
    metaBlock: plan.metaBlock,
    xattrBlock: plan.sharedXattrs.length === 0 ? 0 : plan.xattrBlock,
    uuid,
    volumeName,
    featureIncompat:
      (plan.hasChunks ? INCOMPAT_CHUNKED_FILE : 0) |
      (settings.devices > 0 ? INCOMPAT_DEVICE_TABLE : 0) |
      (settings.compactTimes ? INCOMPAT_48BIT : 0) |
      (settings.metabox ? INCOMPAT_METABOX : 0) |
      (settings.xattrPrefixes.length > 0 ? INCOMPAT_XATTR_PREFIXES : 0) |
      compression.features,
    compressionAlgorithms: compression.compressionAlgorithms,
    extraDevices: settings.devices,
    deviceTableSlot: settings.devices > 0 ? devicesStart(settings) / DEVICE_SLOT_SIZE : 0,
    directoryBlockBits: 0,
    xattrPrefixCount: settings.xattrPrefixes.length,
    xattrPrefixStart: prefixStartOf(settings),
    packedNid: BigInt(plan.stored?.packed?.nid ?? 0),
    xattrFilterReserved: 0,
    digestPrefix: settings.digests?.number ?? 0,
    buildTime: settings.buildTime === undefined ? 0 : settings.buildTime - epoch.seconds,
    rootNid64: isWide ? nidField(rootNid) : 0n,
  });
}

/** What follows the superblock where there is a metabox. */
export function encodeExtension({ metabox }: Plan): Uint8Array {
  if (metabox === undefined) return new Uint8Array(0);
  return SuperblockSlot.encode({ metaboxNid: BigInt(metabox.nid) });
}

function prefixStartOf(settings: Settings): number {
  // In the metabox and the packed inode they come first.
  if (prefixesPlace(settings) !== 'image') return 0;
  return prefixesStart(settings) / XATTR_UNIT;
}

/** Puts the checksum into the first bytes of an image, which hold the superblock's whole block. */
export function seal(head: Uint8Array, blockSize: number): void {
  viewOf(head).setUint32(
    SUPERBLOCK_OFFSET + Superblock.offsets.checksum,
    superblockChecksum(head.subarray(SUPERBLOCK_OFFSET, checkedEnd(blockSize))),
    true,
  );
}
