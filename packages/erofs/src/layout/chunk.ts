import { struct, u16, u32 } from '@anole/bytes';

/** Low bits of an inode's chunk format: a chunk is a block shifted left by so much. */
export const CHUNK_BITS_MASK = 0x1f;
/** The table holds {@link ChunkIndex} records; else four-byte block numbers. */
export const CHUNK_INDEXES = 0x20;
/** Block numbers have 48 bits. */
export const CHUNK_48BIT = 0x40;
/** A block number that stands for a hole; with 48 bits all of them are set. */
export const CHUNK_HOLE = 0xffffffff;
export const CHUNK_HOLE_48BIT = 2 ** 48 - 1;

export const BLOCK_MAP_ENTRY_SIZE = 4;
export const CHUNK_INDEX_SIZE = 8;

/** Source: erofs-utils include/erofs_fs.h, struct erofs_inode_chunk_index. */
export const ChunkIndex = struct('erofs_inode_chunk_index', CHUNK_INDEX_SIZE, {
  blockHigh: u16,
  deviceId: u16,
  block: u32,
});
