import { pad, struct, u8, u16, u32 } from '@anole/bytes';

export const XATTR_HEADER_SIZE = 12;
export const XATTR_ENTRY_SIZE = 4;
/** Entries and the identifiers of shared ones are aligned to, and counted in, this. */
export const XATTR_UNIT = 4;
/** Shared attributes an inode can refer to. */
export const XATTR_SHARED_MAX = 255;

/** Source: erofs-utils include/erofs_fs.h, struct erofs_xattr_ibody_header. */
export const XattrHeader = struct('erofs_xattr_ibody_header', XATTR_HEADER_SIZE, {
  /** A bit per hash of a name; set where no attribute of the inode has it. */
  nameFilter: u32,
  sharedCount: u8,
  reserved: pad(7),
});

/** Source: erofs-utils include/erofs_fs.h, struct erofs_xattr_entry. Name and value follow. */
export const XattrEntry = struct('erofs_xattr_entry', XATTR_ENTRY_SIZE, {
  nameLength: u8,
  nameIndex: u8,
  valueSize: u16,
});

/** Set in `nameIndex` where the other bits number a long prefix. */
export const XATTR_LONG_PREFIX = 0x80;
/** Numbers of long prefixes have seven bits. */
export const LONG_PREFIXES_MAX = 128;

export const XATTR_FILTER_SEED = 0x25bbe08f;
export const XATTR_FILTER_BITS = 32;

/**
 * The short prefix of names that Linux shows to nobody. In long prefixes alone: mkfs.erofs makes one of any name that
 * begins otherwise.
 */
export const XATTR_HIDDEN = 0;

/** Prefixes of names by `nameIndex`. Source: erofs_fs.h, EROFS_XATTR_INDEX_*. */
export const xattrPrefixes: readonly (string | undefined)[] = [
  undefined,
  'user.',
  'system.posix_acl_access',
  'system.posix_acl_default',
  'trusted.',
  'lustre.',
  'security.',
];
