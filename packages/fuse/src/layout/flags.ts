/** FUSE_* flags of INIT, the low 32 bits (linux/fuse.h, "INIT request/reply flags"). */
export const InitFlag = {
  ASYNC_READ: 1 << 0,
  POSIX_LOCKS: 1 << 1,
  ATOMIC_O_TRUNC: 1 << 3,
  EXPORT_SUPPORT: 1 << 4,
  BIG_WRITES: 1 << 5,
  DONT_MASK: 1 << 6,
  FLOCK_LOCKS: 1 << 10,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  WRITEBACK_CACHE: 1 << 16,
  NO_OPEN_SUPPORT: 1 << 17,
  PARALLEL_DIROPS: 1 << 18,
  HANDLE_KILLPRIV: 1 << 19,
  POSIX_ACL: 1 << 20,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  NO_OPENDIR_SUPPORT: 1 << 24,
  MAP_ALIGNMENT: 1 << 26,
  HANDLE_KILLPRIV_V2: 1 << 28,
  SETXATTR_EXT: 1 << 29,
  INIT_EXT: 1 << 30,
} as const;

/** FUSE_* flags of INIT from bit 32 on (`flags2`), which count where INIT_EXT is agreed on. */
export const InitFlag2 = { HAS_INODE_DAX: 1 << 1, PASSTHROUGH: 1 << 5 } as const;

/** FUSE_ATTR_DAX of fuse_attr.flags: the kernel maps the file instead of reading it. */
export const ATTR_DAX = 1 << 1;

/** FUSE_SETUPMAPPING_FLAG_WRITE of fuse_setupmapping_in.flags. */
export const SETUPMAPPING_WRITE = 1 << 0;

/** FOPEN_*: how the kernel is to use a file that was opened. */
export const OpenFlag = { KEEP_CACHE: 1 << 1, PASSTHROUGH: 1 << 7 } as const;

/** FUSE_UNIQUE_RESEND, in the high half of a request's name: it was given before, perhaps to another server. */
export const UNIQUE_RESEND_HIGH = 2 ** 31;

/** FATTR_*: which fields of fuse_setattr_in count. */
export const SetattrFlag = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  KILL_SUIDGID: 1 << 11,
} as const;

/** FUSE_WRITE_KILL_SUIDGID of fuse_write_in.write_flags. */
export const WRITE_KILL_SUIDGID = 1 << 2;

/** RENAME_* of renameat2(2), linux/fs.h. */
export const RenameFlag = { NOREPLACE: 1, EXCHANGE: 2, WHITEOUT: 4 } as const;

/** FALLOC_FL_* of fallocate(2), linux/falloc.h. */
export const FallocateFlag = { KEEP_SIZE: 1, PUNCH_HOLE: 2, ZERO_RANGE: 16 } as const;

/** XATTR_* of setxattr(2), linux/xattr.h. */
export const XattrFlag = { CREATE: 1, REPLACE: 2 } as const;

/** SEEK_* of lseek(2), linux/fs.h. */
export const Seek = { SET: 0, CUR: 1, END: 2, DATA: 3, HOLE: 4 } as const;
