import { type Awaitable, blake3, decodeLz4, decodeZstd } from '@anole/bytes';
import { decodeGzip } from './gzip.ts';
import type { Compressor, Digester } from './layout/algorithms.ts';

/** Decodes `input` into `output`, which must become exactly full. What it throws means damage. */
export type Decode = (input: Uint8Array, output: Uint8Array) => void;

/** Gives the hash of bytes, 32 bytes. */
export type Hash = (bytes: Uint8Array) => Awaitable<Uint8Array>;

/** The key and initialization vector of a blob: 32 and 16 bytes. */
export interface CipherKey {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

/** What reads chunks: where there are faster or further ones, those of this package are replaced. */
export interface RafsCodecs {
  readonly decoders: Readonly<Record<Exclude<Compressor, 'none'>, Decode>>;
  readonly hashes: Readonly<Record<Digester, Hash>>;
  /** AES-128-XTS. Browsers have none: there encrypted images cannot be read. */
  readonly decrypt?: (bytes: Uint8Array, key: CipherKey) => Uint8Array;
}

/** Those that need nothing but this package and what browsers have. */
export const builtInCodecs: RafsCodecs = {
  decoders: { lz4_block: decodeLz4, zstd: decodeZstd, gzip: decodeGzip },
  hashes: {
    blake3,
    async sha256(bytes) {
      const hash = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>);
      return new Uint8Array(hash);
    },
  },
};
