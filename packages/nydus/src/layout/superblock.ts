import { pad, struct, u32, u53 } from '@anole/bytes';

/** Features of the EROFS superblock: exactly these incompatible ones, and `COMPAT_RAFS`. */
export const INCOMPAT_RAFS = 0xc;

/** Byte of the bootstrap at which the extension begins: right after the superblock. */
export const EXTENDED_OFFSET = 1024 + 128;
export const EXTENDED_SIZE = 256;
/** Byte of the device table: right after the extension. */
export const DEVICE_TABLE_OFFSET = EXTENDED_OFFSET + EXTENDED_SIZE;

/** Tables begin at multiples of it, whatever the block size. */
export const TABLE_ALIGN = 4096;

/** Addresses of devices in the space they share with the bootstrap are multiples of this. */
export const DEVICE_ALIGN = 0x8_0000;

/** Source: nydus rafs/src/metadata/layout/v6.rs, RafsV6SuperBlockExt. */
export const ExtendedSuperblock = struct('rafs_v6_superblock_ext', EXTENDED_SIZE, {
  /** {@link superFlags}. */
  flags: u32,
  flagsHigh: u32,
  blobTableOffset: u53,
  blobTableSize: u32,
  chunkSize: u32,
  chunkTableOffset: u53,
  chunkTableSize: u53,
  /** Numbers of inodes (nids), four bytes each. */
  prefetchTableOffset: u53,
  prefetchTableSize: u32,
  padding: pad(4),
  reserved: pad(200),
});
