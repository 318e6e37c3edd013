import { bytes, i53, pad, struct, u16, u32, u53, u64 } from '@anole/bytes';

/** `RAFS`, as a little-endian number. */
export const V5_MAGIC = 0x52414653;
export const V5_VERSION = 0x500;
export const V5_SUPERBLOCK_SIZE = 8192;
/** Everything lies at multiples of it; the inode table counts it. */
export const V5_ALIGN = 8;

/** Source: nydus rafs/src/metadata/layout/v5.rs, RafsV5SuperBlock. Zeros follow, up to 8192 bytes. */
export const V5Superblock = struct('rafs_v5_superblock', 80, {
  magic: u32,
  version: u32,
  size: u32,
  /** Bytes of a chunk. */
  blockSize: u32,
  flags: u32,
  flagsHigh: u32,
  inodes: u53,
  inodeTableOffset: u53,
  prefetchTableOffset: u53,
  blobTableOffset: u53,
  inodeTableEntries: u32,
  prefetchTableEntries: u32,
  blobTableSize: u32,
  extendedBlobEntries: u32,
  extendedBlobOffset: u53,
});

/** Source: nydus rafs/src/metadata/layout/v5.rs, RafsV5ExtBlobEntry. Beside each entry of the blob table. */
export const V5ExtendedBlob = struct('rafs_v5_ext_blob', 64, {
  chunkCount: u32,
  features: u32,
  uncompressedSize: u53,
  compressedSize: u53,
  reserved: pad(40),
});

export const V5_INODE_SIZE = 128;

/**
 * Its name follows, then a link's target, attributes, and the records of a file's chunks; each from a
 * multiple of 8 on. Source: nydus rafs/src/metadata/layout/v5.rs, RafsV5Inode.
 */
export const V5Inode = struct('rafs_v5_inode', V5_INODE_SIZE, {
  /** Of the digests of its chunks, or of its target; of a directory of those of its children. */
  digest: bytes(32),
  parent: u53,
  /** Names of one file have the number of the first of them. */
  ino: u53,
  uid: u32,
  gid: u32,
  projectId: u32,
  mode: u32,
  size: u53,
  blocks: u64,
  /** {@link v5InodeFlags}. */
  flags: u32,
  flagsHigh: u32,
  nlink: u32,
  /** Number of a directory's first child, in the inode table from 1 on; the others follow. */
  childIndex: u32,
  /** Of a directory its children, of a file its chunks. */
  childCount: u32,
  nameSize: u16,
  targetSize: u16,
  rdev: u32,
  mtimeNanoseconds: u32,
  mtime: i53,
  reserved: pad(8),
});

/** Source: nydus rafs/src/metadata/inode.rs, RafsInodeFlags. */
export const v5InodeFlags = { symlink: 1, hardlink: 2, xattr: 4, hasHole: 8 } as const;

export const V5_ROOT = 1;
