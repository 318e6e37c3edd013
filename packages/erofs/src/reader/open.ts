import { type BytesBudget, type Flow, flow, type Source } from '@anole/bytes';
import { builtInDecoders, type Decoders } from '../codecs.ts';
import type { DecodedStore } from './compressed/decoded-store.ts';
import { DataReader } from './data.ts';
import { type ImageDevice, readDevices } from './devices.ts';
import { readInode } from './inode.ts';
import { Metadata } from './metadata.ts';
import { readLongPrefixes } from './prefixes.ts';
import { Spaces } from './spaces.ts';
import { type ImageInfo, readSuperblock } from './superblock.ts';

export interface OpenOptions {
  /** Where chunks lie that are not in the image, in the order of its device table. */
  readonly devices?: readonly Source[];
  /** Bytes of metadata to keep in memory, or what is shared with others. 4 MiB unless told. */
  readonly metadataCache?: number | BytesBudget;
  /**
   * Whether memory of metadata is used again for others, once as much as is kept of them was read: for who goes through very
   * much, and copies at once what `read` of nodes gives. False unless told.
   */
  readonly reuseMemory?: boolean;
  /** Bytes of decoded compressed data to keep in memory, or what is shared. 16 MiB unless told. */
  readonly decodedCache?: number | BytesBudget;
  /** Where more of them is kept. Default: nowhere. */
  readonly decodedStore?: DecodedStore;
  /** Decoders to use instead of the built-in ones, where there are faster ones. */
  readonly decoders?: Decoders;
}

/** What it takes to read inodes and their data. */
export interface OpenedImage {
  readonly info: ImageInfo;
  readonly spaces: Spaces;
  readonly data: DataReader;
  readonly devices: readonly ImageDevice[];
  /** Long prefixes of attribute names. */
  readonly prefixes: readonly string[];
}

/** @param verified whether the superblock's checksum must be right */
export function* openImage(
  source: Source,
  options: OpenOptions,
  verified = true,
): Flow<OpenedImage> {
  const info = yield* readSuperblock(source, verified);
  const cacheSize = options.metadataCache ?? 4 * 1024 * 1024;
  const spaces = new Spaces(new Metadata(source, cacheSize, '', options.reuseMemory));
  const devices = yield* readDevices(spaces.image, info);
  const data = new DataReader(spaces, info, devices, {
    devices: options.devices ?? [],
    decoders: { ...builtInDecoders, ...options.decoders },
    decodedCache: options.decodedCache ?? 16 * 1024 * 1024,
    decodedStore: options.decodedStore,
  });
  yield* openMetabox(spaces, info, data, cacheSize);
  const prefixes = yield* readLongPrefixes(spaces, data, info);
  return { info, spaces, data, devices, prefixes };
}

/** The metabox is an inode whose bytes are metadata again. */
function* openMetabox(
  spaces: Spaces,
  info: ImageInfo,
  data: DataReader,
  cacheSize: number | BytesBudget,
): Flow<void> {
  if (info.metaboxNid === undefined) return;
  const inode = yield* readInode(spaces, info, Number(info.metaboxNid));
  const bytes: Source = {
    size: inode.stat.size,
    read: (offset, length) => flow(() => data.read(inode, offset, length)),
  };
  spaces.metabox = new Metadata(bytes, cacheSize, 'metabox');
}
