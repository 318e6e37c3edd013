import { bytes, i53, pad, struct, u8, u16, u32, u64 } from '@anole/bytes';

/** Byte of the image at which the superblock begins: boot sectors fit before it. */
export const SUPERBLOCK_OFFSET = 1024;
export const SUPERBLOCK_SIZE = 128;
export const SUPERBLOCK_MAGIC = 0xe0f5e1e2;

/** Source: erofs-utils include/erofs_fs.h, struct erofs_super_block. */
export const Superblock = struct('erofs_super_block', SUPERBLOCK_SIZE, {
  magic: u32,
  /** CRC-32C without the final inversion, over the block from here on, this field as zero. */
  checksum: u32,
  featureCompat: u32,
  blockBits: u8,
  extensionSlots: u8,
  /** With 48 bits and a `rootNid64`: bits 32 to 47 of `blocks` instead. */
  rootNid: u16,
  inodes: u64,
  /** Seconds; the time of compact inodes is this plus their own. */
  epoch: i53,
  /** Nanoseconds of the time of compact inodes. */
  fixedNanoseconds: u32,
  blocks: u32,
  /** Block of nid 0. */
  metaBlock: u32,
  /** Block from which shared extended attributes are counted. */
  xattrBlock: u32,
  uuid: bytes(16),
  volumeName: bytes(16),
  featureIncompat: u32,
  compressionAlgorithms: u16,
  extraDevices: u16,
  /** The device table begins at this times the size of a slot. */
  deviceTableSlot: u16,
  directoryBlockBits: u8,
  xattrPrefixCount: u8,
  /** The table of long prefixes of attribute names begins at this times four. */
  xattrPrefixStart: u32,
  packedNid: u64,
  /** Not 0 where the name filter of this image means something newer. */
  xattrFilterReserved: u8,
  /** With `COMPAT_DIGESTS`: the long prefix that is the name of the attribute with a file's digest. */
  digestPrefix: u8,
  reserved: pad(2),
  /** Seconds after the epoch at which the image was made, where its maker says. */
  buildTime: u32,
  rootNid64: u64,
  reserved2: pad(8),
});

/** Compatible features: who does not know one reads the image all the same. */
export const COMPAT_CHECKSUM = 0x1;
/** Times of inodes are of modification, not of change. */
export const COMPAT_MTIME = 0x2;
export const COMPAT_XATTR_FILTER = 0x4;
/** Shared attributes lie in the metabox. */
export const COMPAT_SHARED_XATTRS_IN_METABOX = 0x8;
/** Long prefixes of attribute names lie in the image, not in the metabox or packed inode. */
export const COMPAT_PLAIN_XATTR_PREFIXES = 0x10;
/** Files have an attribute with a digest of what is in them: Linux 7.0 keeps equal ones in memory once. */
export const COMPAT_DIGESTS = 0x20;

/** Incompatible features: who does not know one must not read the image. */
export const INCOMPAT_ZERO_PADDING = 0x1;
export const INCOMPAT_COMPRESSION_CONFIG = 0x2;
export const INCOMPAT_CHUNKED_FILE = 0x4;
export const INCOMPAT_DEVICE_TABLE = 0x8;
export const INCOMPAT_TAIL_PACKING = 0x10;
/** There is a packed inode, or pclusters are shared: Linux learned both at once. */
export const INCOMPAT_FRAGMENTS = 0x20;
export const INCOMPAT_XATTR_PREFIXES = 0x40;
/** Block numbers have 48 bits; compressed files may have extent records. */
export const INCOMPAT_48BIT = 0x80;
/** Metadata may lie in a (compressed) inode of their own. */
export const INCOMPAT_METABOX = 0x100;

/** Size of the slots by which the superblock is extended. */
export const SUPERBLOCK_SLOT_SIZE = 16;

/** First slot of the extension. Source: erofs_fs.h, the end of struct erofs_super_block. */
export const SuperblockSlot = struct('erofs_super_block_slot', SUPERBLOCK_SLOT_SIZE, {
  metaboxNid: u64,
  reserved: pad(8),
});

/** Compatible: a bootstrap of Nydus, whose data lie on devices. Source: nydus rafs/src/metadata/layout/v6.rs. */
export const COMPAT_RAFS = 0x4000_0000;
