import type { CipherKey } from '../codecs.ts';
import type { Compressor, Digester } from '../layout/algorithms.ts';

/** A hash over bytes that come one after another. */
export interface RunningHash {
  update(bytes: Uint8Array): void;
  /** 32 bytes. Ends the hash. */
  digest(): Uint8Array;
}

/** Gives what `bytes` compress to, in memory that is the caller's until the next call. */
export type Encode = (bytes: Uint8Array) => Uint8Array;

/** As {@link Encode}, in memory of its own. `bytes` do not change until it has settled. */
export type EncodeAhead = (bytes: Uint8Array) => Promise<Uint8Array>;

/** What writes chunks. */
export interface RafsEncoders {
  /** By compressor; `gzip` is never written. */
  readonly compress: Readonly<Partial<Record<Exclude<Compressor, 'none' | 'gzip'>, Encode>>>;
  /** The same bytes, made by other threads: the next chunks are read and hashed meanwhile. */
  readonly compressAhead?: Readonly<Partial<Record<keyof RafsEncoders['compress'], EncodeAhead>>>;
  readonly hash: Readonly<Record<Digester, (bytes: Uint8Array) => Uint8Array>>;
  /** SHA-256: names of blobs. */
  sha256(): RunningHash;
  /** AES-128-XTS. */
  encrypt?(bytes: Uint8Array, key: CipherKey): Uint8Array;
}
