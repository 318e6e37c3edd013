import { crc32c } from '@anole/bytes';
import { SUPERBLOCK_OFFSET } from './layout/superblock.ts';

/** Byte of the image up to which the superblock's checksum counts. Source: Linux fs/erofs/super.c. */
export function checkedEnd(blockSize: number): number {
  return blockSize > SUPERBLOCK_OFFSET ? blockSize : SUPERBLOCK_OFFSET + blockSize;
}

/**
 * CRC-32C with all bits set at the start and none inverted at the end, over the superblock with its
 * checksum as 0 and what follows it up to {@link checkedEnd}.
 */
export function superblockChecksum(bytes: Uint8Array): number {
  return ~crc32c(bytes) >>> 0;
}
