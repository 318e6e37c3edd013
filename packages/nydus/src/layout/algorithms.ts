/** Source: nydus utils/src/compress/mod.rs, Algorithm. By number. `gzip` is only ever referred to. */
export const compressors = ['none', 'lz4_block', 'gzip', 'zstd'] as const;
export type Compressor = (typeof compressors)[number];

/** Source: nydus utils/src/digest.rs, Algorithm. By number. */
export const digesters = ['blake3', 'sha256'] as const;
export type Digester = (typeof digesters)[number];

/** Source: nydus utils/src/crypt.rs, Algorithm. By number; the blob table takes the first two. */
export const ciphers = ['none', 'aes128xts'] as const;
export type Cipher = (typeof ciphers)[number];

export const DIGEST_SIZE = 32;

/** Source: nydus storage/src/lib.rs, RAFS_MAX_CHUNK_SIZE, RAFS_DEFAULT_CHUNK_SIZE. */
export const CHUNK_SIZE_MIN = 4096;
export const CHUNK_SIZE_MAX = 16 * 1024 * 1024;
export const CHUNK_SIZE_DEFAULT = 1024 * 1024;
/** Chunks of one blob at most: their numbers have 24 bits. */
export const CHUNKS_MAX = 2 ** 24;

/** Source: nydus rafs/src/metadata/mod.rs, RafsSuperFlags. */
export const superFlags = {
  compressionNone: 0x1,
  compressionLz4: 0x2,
  blake3: 0x4,
  sha256: 0x8,
  /** Owners are those of the inodes; else those of the process that mounts. */
  explicitOwners: 0x10,
  hasXattrs: 0x20,
  compressionGzip: 0x40,
  compressionZstd: 0x80,
  /** Digests of chunks lie in their blobs. */
  inlinedChunkDigest: 0x100,
  /** Blobs are tar archives as they are, without tables of chunks. */
  tarfs: 0x200,
  encryptionNone: 0x100_0000,
  encryptionAes128Xts: 0x200_0000,
} as const;

const compressorFlags: Readonly<Record<Compressor, number>> = {
  none: superFlags.compressionNone,
  lz4_block: superFlags.compressionLz4,
  gzip: superFlags.compressionGzip,
  zstd: superFlags.compressionZstd,
};
const digesterFlags: Readonly<Record<Digester, number>> = {
  blake3: superFlags.blake3,
  sha256: superFlags.sha256,
};
const cipherFlags: Readonly<Record<Cipher, number>> = {
  none: superFlags.encryptionNone,
  aes128xts: superFlags.encryptionAes128Xts,
};

/** What flags of a superblock say of all its chunks. Undefined where they say nothing or too much. */
export interface FlaggedAlgorithms {
  readonly compressor: Compressor | undefined;
  readonly digester: Digester | undefined;
  readonly cipher: Cipher;
}

export function algorithmsOf(flags: number): FlaggedAlgorithms {
  return {
    compressor: only(compressorFlags, flags),
    digester: only(digesterFlags, flags),
    // Images from before encryption have neither flag.
    cipher: only(cipherFlags, flags) ?? 'none',
  };
}

export function flagsOf(compressor: Compressor, digester: Digester, cipher: Cipher): number {
  return compressorFlags[compressor] | digesterFlags[digester] | cipherFlags[cipher];
}

function only<K extends string>(table: Readonly<Record<K, number>>, flags: number): K | undefined {
  const set = (Object.keys(table) as K[]).filter((key) => (flags & table[key]) !== 0);
  return set.length === 1 ? set[0] : undefined;
}
