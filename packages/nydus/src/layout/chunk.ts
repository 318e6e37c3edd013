import { bytes, struct, u32, u53 } from '@anole/bytes';

export const CHUNK_RECORD_SIZE = 80;

/**
 * A chunk in a bootstrap: beside its file in RAFS v5, in a table in RAFS v6.
 * Source: nydus rafs/src/metadata/layout/v5.rs, RafsV5ChunkInfo.
 */
export const ChunkRecord = struct('rafs_v5_chunk_info', CHUNK_RECORD_SIZE, {
  digest: bytes(32),
  blobIndex: u32,
  /** {@link chunkFlags}. */
  flags: u32,
  compressedSize: u32,
  uncompressedSize: u32,
  compressedOffset: u53,
  uncompressedOffset: u53,
  fileOffset: u53,
  /** Number within the blob. */
  index: u32,
  crc32: u32,
});

/** Source: nydus storage/src/device.rs, BlobChunkFlags. */
export const chunkFlags = {
  compressed: 0x1,
  hole: 0x2,
  encrypted: 0x4,
  batch: 0x8,
  crc32: 0x10,
} as const;
