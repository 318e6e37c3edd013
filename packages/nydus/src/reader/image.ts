import type { Awaitable, BytesBudget } from '@anole/bytes';
import type { Tree } from '@anole/vfs';
import type { RafsCodecs } from '../codecs.ts';
import type { Cipher, Compressor, Digester } from '../layout/algorithms.ts';
import type { BlobResolver, RafsBlob } from './blob.ts';
import type { RafsNode } from './file-chunks.ts';

/** A RAFS image as a Tree. */
export interface RafsImage extends Tree {
  readonly root: RafsNode;
  readonly version: 5 | 6;
  /** Those that hold its data, in the order of its table. */
  readonly blobs: readonly RafsBlob[];
  /** Bytes of a chunk, but for the last one of a file. */
  readonly chunkSize: number;
  /** Of chunks written by the one who made the bootstrap; each blob has its own. */
  readonly compressor: Compressor;
  readonly digester: Digester;
  readonly cipher: Cipher;
  /** As stored: `superFlags`. */
  readonly flags: number;
  readonly inodes: number;
  /** Files and directories whose data will be wanted first, as numbers for `node`. */
  prefetch(): Awaitable<readonly number[]>;
  /** An inode by its number: of RAFS v6 its nid. */
  node(number: number): Awaitable<RafsNode>;
}

/** How an image is read, with what is not given filled in. */
export interface Settings {
  readonly resolve: BlobResolver;
  readonly codecs: RafsCodecs;
  /** Bytes of decoded chunks to keep, or what is shared with others. */
  readonly decodedCache: number | BytesBudget;
}
