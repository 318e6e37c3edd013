import { bytes, pad, struct, u32, u53 } from '@anole/bytes';

/** The blob table has no more entries: chunks have 8 bits for a blob, and 0 is the bootstrap. */
export const BLOBS_MAX = 254;

export const BLOB_ENTRY_SIZE = 256;

/** Source: nydus rafs/src/metadata/layout/v6.rs, RafsV6Blob. */
export const BlobEntry = struct('rafs_v6_blob', BLOB_ENTRY_SIZE, {
  /** Hexadecimal SHA-256, in ASCII; 64 times `x` for the blob that the bootstrap lies in. */
  id: bytes(64),
  index: u32,
  chunkSize: u32,
  chunkCount: u32,
  compressor: u32,
  digester: u32,
  /** {@link blobFeatures}. */
  features: u32,
  /** Bytes of the whole blob; of the parts before the bootstrap where that lies in it. */
  compressedSize: u53,
  /** Bytes of all chunks, each from a multiple of 4096 on. */
  uncompressedSize: u53,
  /** Bytes of the table of contents with its header; 0 where the bootstrap lies in the blob. */
  tocSize: u32,
  /** Of the table of chunks. */
  metaCompressor: u32,
  /** Byte of the blob (or of that of `metaDigest`) at which the table of chunks lies. */
  metaOffset: u53,
  metaCompressedSize: u53,
  metaUncompressedSize: u53,
  /** SHA-256 of the table of contents with its header, or zeros. */
  tocDigest: bytes(32),
  /** Name of the blob that holds the tables where they are separate. With a cipher: the key. */
  metaDigest: bytes(32),
  /** Size of that blob. With a cipher: the first half of the initialization vector. */
  metaSize: bytes(8),
  /** With a cipher: the second half of the initialization vector. */
  cipherIv: bytes(8),
  cipher: u32,
  reserved: pad(36),
});

/** Source: nydus storage/src/device.rs, BlobFeatures. */
export const blobFeatures = {
  /** Chunks begin at multiples of 4096 when decoded. */
  aligned: 0x1,
  /** The bootstrap lies in the blob. */
  inlinedFsMeta: 0x2,
  chunkInfoV2: 0x4,
  /** Chunks are parts of a gzip stream, found by checkpoints. */
  zran: 0x8,
  /** Data and tables are different blobs. */
  separate: 0x10,
  inlinedChunkDigest: 0x20,
  tarfs: 0x40,
  /** Small chunks are compressed together. */
  batch: 0x80,
  encrypted: 0x100,
  chunkDictGenerated: 0x200,
  separatePrefetch: 0x400,
  external: 0x800,
  /** Parts have tar headers behind them. */
  tarHeader: 0x1000_0000,
  toc: 0x2000_0000,
  /** Made by nydus-image 2.2 or later. */
  capTarToc: 0x4000_0000,
} as const;

/** Bits that a reader must know, and those that it does. */
export const FEATURES_INCOMPAT = 0xffff;
export const FEATURES_KNOWN = 0x0fff;

/** Stands for the blob that the bootstrap lies in, whose digest it cannot hold. */
export const SELF_ID = 'x'.repeat(64);
