import { bytes, pad, struct, u32, u53 } from '@anole/bytes';

export const TOC_ENTRY_SIZE = 128;
/** Entries and header at most. Source: nydus storage/src/meta/toc.rs, read_toc_header. */
export const TOC_SIZE_MAX = 4096;
/** Each part of a blob is followed by a tar header of this size. */
export const TAR_HEADER_SIZE = 512;

/** Parts of a blob, by the names in tar headers and in the table of contents. */
export const parts = {
  data: 'image.blob',
  bootstrap: 'image.boot',
  meta: 'blob.meta',
  metaHeader: 'blob.meta.header',
  digests: 'blob.digest',
  toc: 'rafs.blob.toc',
} as const;

/** Source: nydus storage/src/meta/toc.rs, TocEntry. */
export const TocEntry = struct('toc_entry', TOC_ENTRY_SIZE, {
  /** {@link tocFlags}. */
  flags: u32,
  reserved1: pad(4),
  name: bytes(16),
  /** SHA-256. */
  uncompressedDigest: bytes(32),
  compressedOffset: u53,
  compressedSize: u53,
  uncompressedSize: u53,
  reserved2: pad(48),
});

export const tocFlags = { none: 0x1, zstd: 0x2, lz4_block: 0x4 } as const;
