import { type Flow, type Source, viewOf, wait } from '@anole/bytes';
import { checkedEnd, superblockChecksum } from '../checksum.ts';
import { damaged, ErofsError } from '../errors.ts';
import { algorithmNames, algorithms } from '../layout/compression-config.ts';
import { DEVICE_SLOT_SIZE } from '../layout/device.ts';
import { nidOf } from '../layout/nid.ts';
import {
  COMPAT_CHECKSUM,
  COMPAT_DIGESTS,
  COMPAT_PLAIN_XATTR_PREFIXES,
  COMPAT_SHARED_XATTRS_IN_METABOX,
  COMPAT_XATTR_FILTER,
  INCOMPAT_48BIT,
  INCOMPAT_CHUNKED_FILE,
  INCOMPAT_COMPRESSION_CONFIG,
  INCOMPAT_DEVICE_TABLE,
  INCOMPAT_FRAGMENTS,
  INCOMPAT_METABOX,
  INCOMPAT_TAIL_PACKING,
  INCOMPAT_XATTR_PREFIXES,
  INCOMPAT_ZERO_PADDING,
  SUPERBLOCK_MAGIC,
  SUPERBLOCK_OFFSET,
  SUPERBLOCK_SIZE,
  SUPERBLOCK_SLOT_SIZE,
  Superblock,
  SuperblockSlot,
} from '../layout/superblock.ts';

/** What a superblock says, checked as far as it can be without the rest of the image. */
export interface ImageInfo {
  readonly blockSize: number;
  /** Of the primary device. */
  readonly blocks: number;
  readonly inodes: bigint;
  readonly uuid: Uint8Array;
  readonly volumeName: string;
  /** Time of compact inodes, before their own seconds. */
  readonly epoch: number;
  readonly fixedNanoseconds: number;
  /** Nids of the metabox have `IN_METABOX` added. */
  readonly rootNid: number;
  /** Byte of the image at which nid 0 would lie. */
  readonly metaOffset: number;
  /** Byte of the image from which shared attributes are counted. */
  readonly xattrOffset: number;
  readonly xattrFilter: boolean;
  readonly xattrPrefixes: { readonly count: number; readonly offset: number } | undefined;
  /** Number of the long prefix that is the name of the attribute with a file's digest. */
  readonly digestPrefix: number | undefined;
  readonly sharedInMetabox: boolean;
  /** Inode that holds the long prefixes of names; 0 where they lie in the image. */
  readonly xattrPrefixNid: bigint;
  /** Algorithms that compressed files may use: a bit for each, by its number. */
  readonly algorithms: number;
  /** Inode that holds fragments; undefined where there are none. */
  readonly packedNid: bigint | undefined;
  /** Inode that holds metadata. */
  readonly metaboxNid: bigint | undefined;
  readonly extraDevices: number;
  /** Byte of the image at which the device table begins. */
  readonly deviceTableOffset: number;
  readonly hasChecksum: boolean;
  readonly checksum: number;
  /** Seconds after `epoch` at which the image was made, where its maker says. */
  readonly buildTime: number;
  readonly featureCompat: number;
  readonly featureIncompat: number;
}

const KNOWN_FEATURES =
  INCOMPAT_CHUNKED_FILE |
  INCOMPAT_DEVICE_TABLE |
  INCOMPAT_XATTR_PREFIXES |
  INCOMPAT_ZERO_PADDING |
  INCOMPAT_COMPRESSION_CONFIG |
  INCOMPAT_TAIL_PACKING |
  INCOMPAT_FRAGMENTS |
  INCOMPAT_48BIT |
  INCOMPAT_METABOX;

/**
 * Reads and checks the superblock.
 *
 * @param verified whether its checksum, if it has one, must be right
 * @throws ErofsError `EROFS_BAD_SUPERBLOCK`, `EROFS_UNSUPPORTED`
 */
export function* readSuperblock(source: Source, verified = true): Flow<ImageInfo> {
  if (source.size < SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE) {
    throw bad(`it has ${source.size} bytes, too few for a superblock`, 0);
  }
  // Read to be kept: the next read may reuse the memory.
  const bytes = new Uint8Array(yield* wait(source.read(SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE)));
  const cursor = Superblock.at(viewOf(bytes));
  if (cursor.magic !== SUPERBLOCK_MAGIC) {
    throw new ErofsError(
      'EROFS_BAD_SUPERBLOCK',
      `Cannot open the image: no EROFS superblock at byte ${SUPERBLOCK_OFFSET}`,
      {
        details: { offset: SUPERBLOCK_OFFSET, magic: cursor.magic },
        hint: 'is it an EROFS image?',
      },
    );
  }
  checkNumbers(bytes);
  const value = Superblock.decode(bytes);
  checkFeatures(value);
  const info = infoOf(value, yield* readMetaboxNid(source, value));
  if (info.hasChecksum && verified) yield* verifySuperblock(source, info);
  return info;
}

/** 64-bit fields that become numbers. */
function checkNumbers(bytes: Uint8Array): void {
  const at = Superblock.offsets.epoch;
  const seconds = viewOf(bytes).getBigInt64(at, true);
  if (seconds >= -(2n ** 52n) && seconds <= 2n ** 52n) return;
  throw bad(`its base time is ${seconds} s`, SUPERBLOCK_OFFSET + at);
}

type SuperblockValue = ReturnType<typeof Superblock.decode>;

function checkFeatures({ featureIncompat, blockBits, directoryBlockBits }: SuperblockValue): void {
  const unknown = (featureIncompat & ~KNOWN_FEATURES) >>> 0;
  if (unknown !== 0) {
    throw new ErofsError(
      'EROFS_UNSUPPORTED',
      `Cannot open the image: it uses features 0x${unknown.toString(16)}, which are not supported yet`,
      { details: { features: unknown } },
    );
  }
  if (blockBits < 9 || blockBits > 16 || directoryBlockBits !== 0) {
    throw bad(`its blocks have 2^${blockBits} bytes`, SUPERBLOCK_OFFSET);
  }
}

/** The metabox's inode, which the superblock's extension names. */
function* readMetaboxNid(source: Source, value: SuperblockValue): Flow<bigint | undefined> {
  if ((value.featureIncompat & INCOMPAT_METABOX) === 0) return undefined;
  const offset = SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE;
  if (value.extensionSlots === 0 || source.size < offset + SUPERBLOCK_SLOT_SIZE) {
    throw bad('it has a metabox, but does not say where', offset);
  }
  const bytes = yield* wait(source.read(offset, SUPERBLOCK_SLOT_SIZE));
  const nid = SuperblockSlot.decode(bytes).metaboxNid;
  // The metabox cannot lie in itself.
  if (nid >= 2n ** 52n) throw bad(`its metabox is inode ${nid}`, offset);
  return nid;
}

/** Without a list of algorithms it is LZ4, if any. */
function algorithmsOf({ featureIncompat, compressionAlgorithms }: SuperblockValue): number {
  if ((featureIncompat & INCOMPAT_COMPRESSION_CONFIG) === 0) return 1 << algorithms.lz4;
  const unknown = compressionAlgorithms >>> algorithmNames.length;
  if (unknown === 0) return compressionAlgorithms;
  throw new ErofsError(
    'EROFS_UNSUPPORTED',
    `Cannot open the image: it uses compression algorithms 0x${compressionAlgorithms.toString(16)}`,
    { details: { algorithms: compressionAlgorithms } },
  );
}

function rootNidOf({ featureIncompat, rootNid, rootNid64 }: SuperblockValue): number {
  if ((featureIncompat & INCOMPAT_48BIT) === 0 || rootNid64 === 0n) return rootNid;
  return nidOf(Number(rootNid64 & 0xffffffffn), Number(rootNid64 >> 32n));
}

function infoOf(value: SuperblockValue, metaboxNid: bigint | undefined): ImageInfo {
  const { featureCompat, featureIncompat, blockBits, xattrPrefixCount } = value;
  const blockSize = 1 << blockBits;
  const prefixes = (featureIncompat & INCOMPAT_XATTR_PREFIXES) !== 0 && xattrPrefixCount > 0;
  const is48Bit = (featureIncompat & INCOMPAT_48BIT) !== 0;
  // The feature stands for shared pclusters too: images may have those alone.
  const hasPacked = (featureIncompat & INCOMPAT_FRAGMENTS) !== 0 && value.packedNid !== 0n;
  const end = value.volumeName.indexOf(0);
  const plainPrefixes = (featureCompat & COMPAT_PLAIN_XATTR_PREFIXES) !== 0;
  return {
    blockSize,
    blocks: value.blocks + (is48Bit && value.rootNid64 !== 0n ? value.rootNid * 2 ** 32 : 0),
    inodes: value.inodes,
    uuid: value.uuid,
    volumeName: new TextDecoder().decode(value.volumeName.subarray(0, end < 0 ? 16 : end)),
    epoch: value.epoch,
    fixedNanoseconds: Math.min(value.fixedNanoseconds, 999_999_999),
    rootNid: rootNidOf(value),
    metaOffset: value.metaBlock * blockSize,
    xattrOffset: value.xattrBlock * blockSize,
    xattrFilter: (featureCompat & COMPAT_XATTR_FILTER) !== 0 && value.xattrFilterReserved === 0,
    xattrPrefixes: prefixes
      ? { count: xattrPrefixCount, offset: value.xattrPrefixStart * 4 }
      : undefined,
    digestPrefix:
      prefixes && (featureCompat & COMPAT_DIGESTS) !== 0 ? value.digestPrefix : undefined,
    sharedInMetabox: (featureCompat & COMPAT_SHARED_XATTRS_IN_METABOX) !== 0,
    xattrPrefixNid: plainPrefixes ? 0n : (metaboxNid ?? value.packedNid),
    algorithms: algorithmsOf(value),
    packedNid: hasPacked ? value.packedNid : undefined,
    metaboxNid,
    extraDevices: (featureIncompat & INCOMPAT_DEVICE_TABLE) !== 0 ? value.extraDevices : 0,
    deviceTableOffset: value.deviceTableSlot * DEVICE_SLOT_SIZE,
    hasChecksum: (featureCompat & COMPAT_CHECKSUM) !== 0,
    checksum: value.checksum,
    buildTime: value.buildTime,
    featureCompat,
    featureIncompat,
  };
}

/** @throws ErofsError `EROFS_BAD_SUPERBLOCK` where the checksum is wrong */
export function* verifySuperblock(
  source: Source,
  { blockSize, checksum: expected }: ImageInfo,
): Flow<void> {
  const end = checkedEnd(blockSize);
  if (end > source.size) throw bad('its first block is cut off', source.size);
  // A copy: slice() of a Buffer is none.
  const block = new Uint8Array(
    yield* wait(source.read(SUPERBLOCK_OFFSET, end - SUPERBLOCK_OFFSET)),
  );
  viewOf(block).setUint32(Superblock.offsets.checksum, 0, true);
  const found = superblockChecksum(block);
  if (found === expected) return;
  throw bad(
    `its checksum is 0x${found.toString(16)}, the superblock says 0x${expected.toString(16)}`,
    SUPERBLOCK_OFFSET + Superblock.offsets.checksum,
  );
}

function bad(reason: string, offset: number): ErofsError {
  return damaged('EROFS_BAD_SUPERBLOCK', `Cannot open the image: ${reason}`, offset);
}
