import { pad, struct, u8, u16, u32 } from '@anole/bytes';

/** Longest physical cluster as it lies in the image. Source: erofs_fs.h, Z_EROFS_PCLUSTER_MAX_SIZE. */
export const PCLUSTER_MAX_SIZE = 1024 * 1024;
/** Longest physical cluster decoded. Source: erofs_fs.h, Z_EROFS_PCLUSTER_MAX_DSIZE. */
export const PCLUSTER_MAX_DECODED = 12 * 1024 * 1024;

export const MAP_HEADER_SIZE = 8;

/**
 * Stands at the next multiple of 8 after a compressed inode and its attributes; indexes follow.
 * Source: erofs-utils include/erofs_fs.h, struct z_erofs_map_header.
 */
export const MapHeader = struct('z_erofs_map_header', MAP_HEADER_SIZE, {
  /**
   * With `ADVISE_FRAGMENT`: byte of the packed inode at which the last extent lies. With
   * `ADVISE_INLINE`: bits 16 to 31 are the size of the last pcluster, which lies after the indexes.
   * With extents: how many, low half.
   */
  fragmentOffset: u32,
  advise: u16,
  /** Bits 0 to 3: algorithm of lclusters of type head1; bits 4 to 7: of head2. */
  algorithms: u8,
  /**
   * Bits 0 to 3: bits of an lcluster above those of a block. Bit 7: the whole file is a fragment, and
   * the other 63 bits of the header are where it lies. With extents, this and `algorithms` are the
   * high half of their number instead.
   */
  clusterBits: u8,
});

/** Byte at which the map header stands, `end` being that after the inode and its attributes. */
export function mapHeaderOffset(end: number): number {
  return Math.ceil(end / 8) * 8;
}

/** Compact indexes: packs of 2-byte entries between those of 4. */
export const ADVISE_COMPACTED_2B = 0x01;
/** Full layout: extent records instead of indexes. */
export const ADVISE_EXTENTS = 0x01;
/** Pclusters of head1 have a size of their own, in blocks. */
export const ADVISE_BIG_PCLUSTER_1 = 0x02;
/** As above for head2 and plain. */
export const ADVISE_BIG_PCLUSTER_2 = 0x04;
/** The last pcluster lies right after the indexes (tail packing). */
export const ADVISE_INLINE = 0x08;
/** Bytes of plain pclusters lie where they would in an uncompressed block, wrapped around. */
export const ADVISE_INTERLACED = 0x10;
/** The last extent lies in the packed inode. */
export const ADVISE_FRAGMENT = 0x20;
/** Bits 1 and 2 of `advise` with extents: a record has 4 bytes shifted left by so much. */
export const ADVISE_RECORD_SHIFT = 1;
export const ADVISE_RECORD_MASK = 0x3;

/** Bits 0 to 3 of `clusterBits`. */
export const CLUSTER_BITS_MASK = 0x0f;
/** Bit 7 of `clusterBits`. */
export const CLUSTER_WHOLE_FRAGMENT = 0x80;

/** What begins in an lcluster. Source: erofs_fs.h, Z_EROFS_LCLUSTER_TYPE_*. */
export const lclusterTypes = {
  /** A pcluster that is not compressed. */
  plain: 0,
  head1: 1,
  /** Nothing: it belongs to the head before it. */
  nonhead: 2,
  head2: 3,
} as const;

/** Bits 0 and 1 of a full index's `advise`. */
export const INDEX_TYPE_MASK = 0x3;
/** Full indexes, heads: the pcluster holds more than is referred to. */
export const INDEX_PARTIAL_REF = 1 << 15;
/** First nonhead of a big pcluster: the low bits are its size in blocks, not a distance. */
export const INDEX_BLOCK_COUNT = 1 << 11;

export const FULL_INDEX_SIZE = 8;
/** Full indexes begin so far behind the map header. Source: erofs_fs.h, Z_EROFS_FULL_INDEX_START. */
export const FULL_INDEX_GAP = 8;

/** Source: erofs_fs.h, struct z_erofs_lcluster_index. */
export const FullIndex = struct('z_erofs_lcluster_index', FULL_INDEX_SIZE, {
  advise: u16,
  /** Heads: byte of the lcluster at which the pcluster's data begin. */
  clusterOffset: u16,
  /** Heads: block of the pcluster. Nonheads: lclusters back to the head, and (high half) on to the next. */
  block: u32,
});

/** Bytes of an extent record at most; of shorter ones the first 4, 8 or 16 are there. */
export const EXTENT_SIZE = 32;

/** Source: erofs_fs.h, struct z_erofs_extent. */
export const ExtentRecord = struct('z_erofs_extent', EXTENT_SIZE, {
  /** Bits 0 to 20: encoded bytes, 0 for a hole; bit 27 and bits 28 up as below. */
  length: u32,
  /** Byte of the image, not block. */
  start: u32,
  startHigh: u32,
  /** Byte of the file. */
  logical: u32,
  logicalHigh: u32,
  reserved: pad(12),
});

export const EXTENT_LENGTH_MASK = 2 * PCLUSTER_MAX_SIZE - 1;
export const EXTENT_PARTIAL = 1 << 27;
/** Bits 28 up: 0 is plain, else an algorithm plus one. */
export const EXTENT_FORMAT_SHIFT = 28;
