import { pad, struct, u8, u32, u53 } from '@anole/bytes';

/**
 * The table of chunks of a blob: records of one of two forms, then for `batch` blobs records of
 * batches, for `zran` blobs checkpoints and their windows; all of that compressed as one. The header
 * follows. Source: nydus storage/src/meta/mod.rs.
 */
export const META_HEADER_SIZE = 4096;
export const META_MAGIC = 0xb10bb10b;

/** Source: nydus storage/src/meta/mod.rs, BlobCompressionContextHeader. */
export const MetaHeader = struct('blob_compression_context_header', META_HEADER_SIZE, {
  magic: u32,
  features: u32,
  compressor: u32,
  entries: u32,
  offset: u53,
  compressedSize: u53,
  uncompressedSize: u53,
  /** Byte of the decoded table at which the records of batches or checkpoints begin. */
  contextOffset: u53,
  /** With the windows. */
  contextSize: u53,
  contextCount: u32,
  reserved: pad(META_HEADER_SIZE - 64),
  magic2: u32,
});

export const CHUNK_INFO_V1_SIZE = 16;
export const CHUNK_INFO_V2_SIZE = 24;

/** Flags of a chunk, version 2: the highest byte of its first word. */
export const chunkInfoFlags = {
  compressed: 0x1,
  zran: 0x2,
  batch: 0x4,
  encrypted: 0x8,
  crc32: 0x10,
} as const;

export const CONTEXT_SIZE = 40;

/** Source: nydus storage/src/meta/batch.rs, BatchInflateContext. */
export const BatchContext = struct('batch_inflate_context', CONTEXT_SIZE, {
  compressedSize: u32,
  uncompressedSize: u32,
  reserved: pad(32),
});

/** Source: nydus storage/src/meta/zran.rs, ZranInflateContext. */
export const ZranContext = struct('zran_inflate_context', CONTEXT_SIZE, {
  /** Byte of the gzip stream, and of what it decodes to. */
  inOffset: u53,
  outOffset: u53,
  /** Byte of the windows, which follow the checkpoints. */
  dictOffset: u53,
  inSize: u32,
  outSize: u32,
  dictSize: u32,
  /** The byte before `inOffset`, of which the highest `bits` bits have not been used yet. */
  byte: u8,
  bits: u8,
  reserved: pad(2),
});
