import type { Awaitable } from '@anole/bytes';
import type { TreeNode } from '@anole/vfs';
import { badOption } from '../bad-option.ts';
import { memorySpool, type Spool } from '../compress/spool.ts';

/** Files are stored in chunks of one size, those with equal contents once. */
export interface ChunkOptions {
  /** Bytes of a chunk: a power of two from the block size to 16 MiB. 1 MiB unless told. */
  readonly size?: number;
  /**
   * Addresses of 8 bytes each, with the device, even where 4 do (mkfs.erofs `-E force-chunk-indexes`).
   * False unless told.
   */
  readonly indexes?: boolean;
  /** Makes a scratch file for the chunks where there is no target. In memory unless given. */
  readonly spool?: () => Awaitable<Spool>;
}

/** A device beside the image that takes the data of all files. */
export interface BlobDevice {
  readonly device: Spool;
  /**
   * At most 64 bytes of UTF-8 that the device table names it by: a digest, for instance. Asked for
   * once all data are on the device. Empty unless given.
   */
  readonly tag?: string | (() => Awaitable<string>);
}

/** Data that are there already, on devices beside the image: files then refer to them. */
export interface ExternalData {
  readonly devices: readonly { readonly size: number; readonly tag?: string }[];
  /**
   * Where all bytes of a file lie in a row: a device, counted from 0, and a byte of it. Undefined
   * where they do not: such files, and those at no multiple of the block size, go into the image.
   */
  locate(node: TreeNode): { readonly device: number; readonly offset: number } | undefined;
}

/** {@link ChunkOptions} with every default in place. */
export interface ChunkSettings {
  readonly size: number;
  readonly indexes: boolean;
  readonly spool: () => Awaitable<Spool>;
}

export const CHUNK_SIZE_MAX = 16 * 1024 * 1024;
/** Unless told. */
export const CHUNK_SIZE = 1024 * 1024;

/** @throws ErofsError `EROFS_BAD_OPTION` */
export function settleChunks(options: ChunkOptions, blockSize: number): ChunkSettings {
  const { size = CHUNK_SIZE, indexes = false, spool = memorySpool } = options;
  if (Number.isInteger(Math.log2(size)) && size >= blockSize && size <= CHUNK_SIZE_MAX) {
    return { size, indexes, spool };
  }
  const hint = `give a power of two from ${blockSize} to ${CHUNK_SIZE_MAX}`;
  throw badOption('chunks of', size, hint);
}
