import { i53, pad, struct, u16, u32, u53 } from '@anole/bytes';

/** Inodes lie at multiples of this; nids count it. */
export const INODE_SLOT = 32;
export const COMPACT_SIZE = 32;
export const EXTENDED_SIZE = 64;

/** Source: erofs-utils include/erofs_fs.h, struct erofs_inode_compact. */
export const CompactInode = struct('erofs_inode_compact', COMPACT_SIZE, {
  format: u16,
  /** 0, or 1 plus the four-byte words of attributes after their header. */
  xattrCount: u16,
  mode: u16,
  nlink: u16,
  size: u32,
  /** Seconds after the superblock's epoch. Kernels before 6.15 take it as 0. */
  mtime: u32,
  /** First block of data, device number, or format of chunks: by layout and type. */
  data: u32,
  ino: u32,
  uid: u16,
  gid: u16,
  reserved: pad(4),
});

/** Source: erofs-utils include/erofs_fs.h, struct erofs_inode_extended. */
export const ExtendedInode = struct('erofs_inode_extended', EXTENDED_SIZE, {
  format: u16,
  xattrCount: u16,
  mode: u16,
  /** Bits 32 to 47 of the first block. */
  dataHigh: u16,
  size: u53,
  data: u32,
  ino: u32,
  uid: u32,
  gid: u32,
  mtime: i53,
  mtimeNanoseconds: u32,
  nlink: u32,
  reserved2: pad(16),
});

/** Bit 0 of `format`: extended. */
export const FORMAT_EXTENDED = 0x1;
/** Bits 1 to 3 of `format`: where the data lie. */
export const FORMAT_LAYOUT_SHIFT = 1;
export const FORMAT_LAYOUT_MASK = 0x7;
/** Bit 4 of a compact inode that is no directory: one link, and `nlink` is bits 32 to 47 of the first block. */
export const FORMAT_ONE_LINK = 0x10;
/** Bit 4 of a directory: it does not list `.`. Source: erofs_fs.h, EROFS_I_DOT_OMITTED_BIT. */
export const FORMAT_NO_DOT = 0x10;
/** Bits that mean something. Source: erofs_fs.h, EROFS_I_ALL. */
export const FORMAT_ALL = 0x1f;

/** Where an inode's data lie. */
export const layouts = {
  /** In consecutive blocks. */
  plain: 0,
  compressedFull: 1,
  /** In consecutive blocks, the last partial one right after the inode and its attributes. */
  inline: 2,
  compressedCompact: 3,
  /** In chunks, addressed by a table right after the inode and its attributes. */
  chunked: 4,
} as const;

/** First block of data that there are none of. */
export const NO_BLOCK = 0xffffffff;
