import { pad, struct, u8, u16, u32 } from '@anole/bytes';

/** Source: erofs-utils include/erofs_fs.h, Z_EROFS_COMPRESSION_*. Bits of `compressionAlgorithms` too. */
export const algorithms = { lz4: 0, lzma: 1, deflate: 2, zstd: 3 } as const;

export type Algorithm = keyof typeof algorithms;

/** By number. */
export const algorithmNames: readonly Algorithm[] = ['lz4', 'lzma', 'deflate', 'zstd'];

/**
 * With the feature `INCOMPAT_COMPRESSION_CONFIG` a record for each algorithm of the image follows the
 * superblock and its extension, in order of their numbers: at a multiple of 4 a u16 of its length,
 * then one of the structures below. Without it, there is LZ4 only, and the superblock's
 * `compressionAlgorithms` is its `maxDistance`.
 */
export const CONFIG_ALIGN = 4;

/** Source: erofs_fs.h, struct z_erofs_lz4_cfgs. */
export const Lz4Config = struct('z_erofs_lz4_cfgs', 14, {
  /** Bytes back that matches reach at most; 0 is 65535. */
  maxDistance: u16,
  /** Blocks of the largest pcluster; 0 is 1. */
  maxPclusterBlocks: u16,
  reserved: pad(10),
});

/** What a distance of two bytes can say. */
export const LZ4_DISTANCE_MAX = 65535;

/** Source: erofs_fs.h, struct z_erofs_lzma_cfgs. */
export const LzmaConfig = struct('z_erofs_lzma_cfgs', 14, {
  /** Bytes back that matches reach at most. */
  dictionarySize: u32,
  /** 0 is MicroLZMA. */
  format: u16,
  reserved: pad(8),
});

/** Windows of LZMA. Source: erofs_fs.h, Z_EROFS_LZMA_MAX_DICT_SIZE; Linux fs/erofs/decompressor_lzma.c. */
export const LZMA_WINDOW_MIN = 4096;
export const LZMA_WINDOW_MAX = 8 * 1024 * 1024;

/** Source: erofs_fs.h, struct z_erofs_deflate_cfgs. */
export const DeflateConfig = struct('z_erofs_deflate_cfgs', 6, {
  /** 8 to 15. */
  windowBits: u8,
  reserved: pad(5),
});

/** Source: erofs_fs.h, struct z_erofs_zstd_cfgs. */
export const ZstdConfig = struct('z_erofs_zstd_cfgs', 6, {
  format: u8,
  /** Bits of the window above 10. */
  windowLog: u8,
  reserved: pad(4),
});

/** Windows of ZSTD. Source: erofs_fs.h, Z_EROFS_ZSTD_MAX_DICT_SIZE. */
export const ZSTD_WINDOW_MIN = 1024;
export const ZSTD_WINDOW_MAX = 1024 * 1024;
