import type { CallOptions } from '@anole/bytes';
import type { Whiteouts } from '@anole/vfs';
import type { CipherKey } from '../codecs.ts';
import { RafsError } from '../errors.ts';
import {
  CHUNK_SIZE_DEFAULT,
  CHUNK_SIZE_MAX,
  type Compressor,
  type Digester,
} from '../layout/algorithms.ts';
import { isChunkSize } from '../reader/blob-info.ts';
import type { ChunkDictionary } from './dictionary.ts';
import type { RafsEncoders } from './encoders.ts';
import { checkAlike, checkLayers, type NamedImage } from './named-image.ts';

export interface RafsWriteOptions extends CallOptions {
  readonly encoders: RafsEncoders;
  /** Default `zstd`. */
  readonly compressor?: Exclude<Compressor, 'gzip'>;
  /** Default `blake3`. */
  readonly digester?: Digester;
  /** Bytes of a chunk: a power of two from 4096 to 16 MiB. Default 1 MiB. */
  readonly chunkSize?: number;
  /** Files of less than half of it are compressed together, up to so many bytes. Default 0: none are. */
  readonly batchSize?: number;
  /** Whether the blob ends with a table of contents. Default true. */
  readonly toc?: boolean;
  /** Whether the bootstrap is put into the blob, too. Default false. */
  readonly inlineBootstrap?: boolean;
  /** Chunks of other images that need not be stored again. */
  readonly dictionary?: ChunkDictionary;
  /**
   * An image below the tree: what is written is both, one over the other. What the parent has is referred
   * to, not stored again.
   */
  readonly parent?: NamedImage;
  /** How the tree says that something of its parent is gone. Default `oci`. */
  readonly whiteouts?: Whiteouts;
  /**
   * Files and directories whose data will be wanted first, in that order: they come first in the blob,
   * and stand in the prefetch table. Those that are not there are left out.
   */
  readonly prefetch?: readonly string[];
  /** Encrypts the blob by AES-128-XTS. The bootstrap holds the key. */
  readonly key?: CipherKey;
  /** Whether extended attributes are stored. Default true. */
  readonly xattrs?: boolean;
}

/** Options with what was not given filled in, checked. */
export interface Settings {
  readonly encoders: RafsEncoders;
  readonly compressor: Exclude<Compressor, 'gzip'>;
  readonly digester: Digester;
  readonly chunkSize: number;
  readonly batchSize: number;
  readonly toc: boolean;
  readonly inlineBootstrap: boolean;
  readonly dictionary: ChunkDictionary | undefined;
  readonly parent: NamedImage | undefined;
  readonly whiteouts: Whiteouts;
  readonly prefetch: readonly string[];
  readonly key: CipherKey | undefined;
  readonly xattrs: boolean;
}

/** @throws RafsError `RAFS_BAD_OPTION` */
export function settle(options: RafsWriteOptions): Settings {
  const { chunkSize = CHUNK_SIZE_DEFAULT, batchSize = 0, encoders, key } = options;
  const { compressor = 'zstd', digester = 'blake3', dictionary, parent } = options;
  if (!isChunkSize(chunkSize)) {
    throw badOption('chunkSize', chunkSize, 'give a power of two from 4096 to 16777216');
  }
  // Sizes in tables of version 2 have 24 bits.
  if (chunkSize === CHUNK_SIZE_MAX && (batchSize !== 0 || key)) {
    throw badOption('chunkSize', chunkSize, 'with batches or a key, half of it is the most');
  }
  if (batchSize !== 0 && (!isChunkSize(batchSize) || batchSize > chunkSize)) {
    throw badOption('batchSize', batchSize, 'give a power of two from 4096 to the chunk size');
  }
  if (compressor !== 'none' && encoders.compress[compressor] === undefined) {
    throw badOption('compressor', compressor, 'give an encoder for it');
  }
  if (key && (!encoders.encrypt || key.key.length !== 32 || key.iv.length !== 16)) {
    throw badOption(
      'key',
      `${key.key.length} bytes`,
      'give 32 bytes, 16 of a vector, and a cipher',
    );
  }
  dictionary?.checkLike({ digester, chunkSize });
  if (parent) {
    checkLayers([parent]);
    checkAlike([parent.image, { digester, chunkSize }]);
  }
  return {
    encoders,
    compressor,
    digester,
    chunkSize,
    batchSize,
    toc: options.toc ?? true,
    inlineBootstrap: options.inlineBootstrap ?? false,
    dictionary,
    parent,
    whiteouts: options.whiteouts ?? 'oci',
    prefetch: options.prefetch ?? [],
    key,
    xattrs: options.xattrs ?? true,
  };
}

export function badOption(name: string, value: unknown, hint: string): RafsError {
  return new RafsError('RAFS_BAD_OPTION', `Cannot write the image: ${name} is ${value}`, {
    details: { option: name },
    hint,
  });
}
