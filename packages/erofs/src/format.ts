/**
 * The structures of EROFS, and how directories and attributes are written: for formats that are made of
 * them, such as RAFS.
 */
export { CHUNK_INDEX_SIZE, CHUNK_INDEXES, ChunkIndex } from './layout/chunk.ts';
export { algorithms } from './layout/compression-config.ts';
export { DEVICE_SLOT_SIZE, DeviceSlot } from './layout/device.ts';
export { NAME_MAX } from './layout/dirent.ts';
export {
  COMPACT_SIZE,
  CompactInode,
  EXTENDED_SIZE,
  ExtendedInode,
  FORMAT_EXTENDED,
  FORMAT_LAYOUT_SHIFT,
  INODE_SLOT,
  layouts,
} from './layout/inode.ts';
export {
  COMPAT_RAFS,
  SUPERBLOCK_MAGIC,
  SUPERBLOCK_OFFSET,
  Superblock,
} from './layout/superblock.ts';
export { XATTR_HEADER_SIZE, XATTR_UNIT } from './layout/xattr.ts';
export {
  type DirectoryBlocks,
  directoryBlocks,
  directorySize,
  nameLength,
  sortNames,
} from './writer/directory.ts';
export { encodeXattr } from './writer/xattr-entry.ts';
