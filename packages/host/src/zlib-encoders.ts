import { constants, deflateRawSync, zstdCompressSync } from 'node:zlib';

/** Output comes in parts of so many bytes: results that are wanted fit into one. */
const CHUNK_SIZE = 128 * 1024;

/**
 * Whole streams by Node's own compressors: of ZSTD (RFC 8878) a frame without checksum whose window
 * is at most `windowSize`, a power of two; of DEFLATE (RFC 1951) a raw stream. Synchronous.
 */
export const zlibEncoders = {
  zstd(bytes: Uint8Array, level: number, windowSize: number): Uint8Array {
    return zstdCompressSync(bytes, {
      chunkSize: CHUNK_SIZE,
      params: {
        [constants.ZSTD_c_compressionLevel]: level,
        [constants.ZSTD_c_windowLog]: Math.log2(windowSize),
      },
    });
  },
  deflate(bytes: Uint8Array, level: number, windowSize: number): Uint8Array {
    return deflateRawSync(bytes, {
      level,
      windowBits: Math.log2(windowSize),
      chunkSize: CHUNK_SIZE,
    });
  },
};
