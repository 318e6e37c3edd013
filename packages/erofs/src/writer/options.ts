import type { CallOptions } from '@anole/bytes';
import type { Timestamp } from '@anole/vfs';
import { badOption } from './bad-option.ts';
import {
  type CompressionOptions,
  type CompressionSettings,
  settleCompression,
} from './compress/options.ts';
import type { Spool } from './compress/spool.ts';

export interface WriteOptions extends CallOptions {
  /**
   * Bytes of a block: a power of two from 512 to 65536, 4096 unless told. The kernel mounts images
   * whose blocks are no larger than its pages.
   */
  readonly blockSize?: number;
  /** 16 bytes. Unless given, derived from the names and attributes of the tree. */
  readonly uuid?: Uint8Array;
  /** At most 16 bytes of UTF-8. */
  readonly volumeName?: string;
  /** The modification time of everything, in place of the tree's own. */
  readonly time?: Timestamp;
  /** `extended` gives every inode 64 bytes. Unless told, those that fit take 32. */
  readonly inodes?: 'auto' | 'extended';
  /** Whether extended attributes are stored. True unless told. */
  readonly xattrs?: boolean;
  /** Whether the last partial block of a file may lie beside its inode. True unless told. */
  readonly inlineTails?: boolean;
  /** Files are stored compressed where that takes less room. Not unless given. */
  readonly compression?: CompressionOptions;
  /**
   * The file that the image is for: compressed data are written to their place in it at once, and
   * `parts()` of the image gives what is left. Unless given, they wait in a scratch file.
   */
  readonly target?: Spool;
}

/** {@link WriteOptions} with every default in place. */
export interface Settings {
  readonly blockSize: number;
  readonly blockBits: number;
  readonly uuid: Uint8Array | undefined;
  readonly volumeName: Uint8Array;
  readonly time: Timestamp | undefined;
  readonly extendedOnly: boolean;
  readonly xattrs: boolean;
  readonly inlineTails: boolean;
  readonly compression: CompressionSettings | undefined;
}

/** @throws ErofsError `EROFS_BAD_OPTION` */
export function settle(options: WriteOptions): Settings {
  const { blockSize = 4096, uuid, volumeName = '' } = options;
  const blockBits = Math.log2(blockSize);
  if (!Number.isInteger(blockBits) || blockBits < 9 || blockBits > 16) {
    throw badOption('blockSize', blockSize, 'give a power of two from 512 to 65536');
  }
  if (uuid !== undefined && uuid.length !== 16) {
    throw badOption('uuid', `${uuid.length} bytes`, 'give 16 bytes');
  }
  const name = new TextEncoder().encode(volumeName);
  if (name.length > 16) throw badOption('volumeName', volumeName, 'give at most 16 bytes');
  return {
    blockSize,
    blockBits,
    uuid,
    volumeName: name,
    time: options.time,
    extendedOnly: options.inodes === 'extended',
    xattrs: options.xattrs ?? true,
    inlineTails: options.inlineTails ?? true,
    compression: options.compression && settleCompression(options.compression, blockSize),
  };
}
