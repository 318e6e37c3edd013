import { i32, i53, pad, struct, u16, u32, u53 } from '@anole/bytes';

// Replies of linux/fuse.h, protocol 7.41.

export const OutHeader = struct('fuse_out_header', 16, {
  length: u32,
  /** 0, or an errno negated. */
  error: i32,
  uniqueLow: u32,
  uniqueHigh: u32,
});

export const InitOut = struct('fuse_init_out', 64, {
  major: u32,
  minor: u32,
  maxReadahead: u32,
  flags: u32,
  maxBackground: u16,
  congestionThreshold: u16,
  maxWrite: u32,
  /** Smallest step of a time, in nanoseconds. */
  timeGranularity: u32,
  maxPages: u16,
  mapAlignment: u16,
  flags2: u32,
  maxStackDepth: u32,
  unused: pad(24),
});

export const Attr = struct('fuse_attr', 88, {
  ino: u53,
  size: u53,
  /** Of 512 bytes. */
  blocks: u53,
  atime: i53,
  mtime: i53,
  ctime: i53,
  atimeNanoseconds: u32,
  mtimeNanoseconds: u32,
  ctimeNanoseconds: u32,
  mode: u32,
  nlink: u32,
  uid: u32,
  gid: u32,
  rdev: u32,
  blockSize: u32,
  /** FUSE_ATTR_*. */
  flags: u32,
});

/** Seconds and nanoseconds that the kernel may keep what it was told. */
export const AttrOut = struct('fuse_attr_out', 104, {
  attrValid: u53,
  attrValidNanoseconds: u32,
  dummy: pad(4),
  attr: Attr,
});

export const EntryOut = struct('fuse_entry_out', 128, {
  nodeid: u53,
  generation: u53,
  entryValid: u53,
  attrValid: u53,
  entryValidNanoseconds: u32,
  attrValidNanoseconds: u32,
  attr: Attr,
});

export const OpenOut = struct('fuse_open_out', 16, {
  handle: u53,
  openFlags: u32,
  /** Of the file that the kernel reads in the place of ours, with FOPEN_PASSTHROUGH. */
  backingId: u32,
});
export const WriteOut = struct('fuse_write_out', 8, { size: u32, padding: pad(4) });
export const GetxattrOut = struct('fuse_getxattr_out', 8, { size: u32, padding: pad(4) });
export const LseekOut = struct('fuse_lseek_out', 8, { offset: u53 });

export const StatfsOut = struct('fuse_statfs_out', 80, {
  blocks: u53,
  freeBlocks: u53,
  availableBlocks: u53,
  files: u53,
  freeFiles: u53,
  blockSize: u32,
  nameLength: u32,
  fragmentSize: u32,
  padding: pad(4),
  spare: pad(24),
});

/** A name follows, and zeros up to a multiple of 8. */
export const Dirent = struct('fuse_dirent', 24, {
  ino: u53,
  /** Where reading goes on behind this entry. */
  offset: u53,
  nameLength: u32,
  /** DT_* of dirent.h. */
  type: u32,
});
