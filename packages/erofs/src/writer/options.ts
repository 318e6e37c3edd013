import type { Awaitable, CallOptions } from '@anole/bytes';
import type { DirectoryEntry, FileType, Timestamp, TreeNode } from '@anole/vfs';
import { badOption } from './bad-option.ts';
import {
  type BlobDevice,
  CHUNK_SIZE,
  type ChunkOptions,
  type ChunkSettings,
  type ExternalData,
  settleChunks,
} from './chunked/options.ts';
import {
  type CompressionOptions,
  type CompressionSettings,
  settleCompression,
} from './compress/options.ts';
import type { Spool } from './compress/spool.ts';
import { type DigestOptions, type DigestSettings, settleDigests } from './digests.ts';
import { LayerMarks, type MarkOptions } from './layer-marks.ts';
import { type LongPrefix, longPrefixesOf } from './long-prefixes.ts';

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
  /** When the image was made, in seconds since 1970. Unless told, it does not say. */
  readonly buildTime?: number;
  /** Whether the superblock has a checksum. True unless told. */
  readonly checksum?: boolean;
  /**
   * `extended` gives every inode 64 bytes. Unless told, those that fit take 32. `compact` gives all 32,
   * without times of their own, and refuses what does not fit.
   */
  readonly inodes?: 'auto' | 'extended' | 'compact';
  /** Whether a time of its own is no reason to give an inode 64 bytes: it has that of most, then. */
  readonly ignoreTimes?: boolean;
  /**
   * Whether inodes of 32 bytes have seconds of their own (mkfs.erofs `-E48bit`): Linux mounts such images
   * from 6.15 on. False unless told, or metadata are compressed.
   */
  readonly compactTimes?: boolean;
  /** Whether directories list themselves as `.`. True unless told; without, `compactTimes` is needed. */
  readonly listDots?: boolean;
  /** Whether each name of a file becomes a file of its own. False unless told. */
  readonly hardDereference?: boolean;
  /** Whether extended attributes are stored. True unless told. */
  readonly xattrs?: boolean;
  /**
   * The `security.selinux` of each file in place of its own, undefined for none. Paths begin with a
   * slash; that of the root is one.
   */
  readonly label?: (path: string, type: FileType) => string | undefined;
  /**
   * What names of attributes begin with, `user.app.` for instance: stored once, and not with each name
   * (Linux 6.4). At most 128.
   */
  readonly xattrPrefixes?: readonly string[];
  /**
   * An attribute is stored once for all where more inodes than these have it, and it takes less room.
   * 1 unless told.
   */
  readonly xattrTolerance?: number;
  /**
   * Files that are not empty have an attribute with their SHA-256 (mkfs.erofs `--xattr-inode-digest`), by which Linux 7.0
   * keeps in memory once what images have in common. Each is read twice. Not unless given.
   */
  readonly digests?: DigestOptions;
  /** Whose files are, in place of the tree's own. */
  readonly owners?: Owners;
  /** Paths, without a leading slash, that are left out with all that is below them. */
  readonly exclude?: (path: string) => boolean;
  /**
   * Paths, without a leading slash, of files whose data come before those of all others, in this
   * order: what is read together lies together. Those that are not there do no harm. Of larger files that are
   * compressed, what is in ranges is stored before all else, in pclusters of its own.
   */
  readonly first?: readonly (string | WantedFile)[];
  /** Whether the last partial block of a file may lie beside its inode. True unless told. */
  readonly inlineTails?: boolean;
  /** Bytes whose multiples data of files begin at: a multiple of `blockSize`, which it is unless told. */
  readonly dataAlignment?: number;
  /** Bytes whose multiple the image's size is: a multiple of `blockSize`, which it is unless told. */
  readonly sizeAlignment?: number;
  /** Files are stored compressed where that takes less room. Not unless given. */
  readonly compression?: CompressionOptions;
  /** Files are stored in chunks, but for those that are stored compressed. Not unless given. */
  readonly chunks?: ChunkOptions;
  /**
   * A device beside the image that takes the data of all files: what is not compressed in chunks. The
   * image then holds metadata alone, and can be mounted with `device=`, or with the device's bytes
   * right behind its own.
   */
  readonly blob?: BlobDevice;
  /** Files whose data lie elsewhere already refer to them there. */
  readonly external?: ExternalData;
  /** What the tree says about layers below it: stored as it is unless given. */
  readonly marks?: MarkOptions;
  /** Lists a directory in place of the tree: for callers that do so in threads. */
  readonly list?: (directory: TreeNode) => Awaitable<readonly DirectoryEntry[]>;
  /**
   * The file that the image is for: compressed data are written to their place in it at once, and
   * `parts()` of the image gives what is left. Unless given, they wait in a scratch file.
   */
  readonly target?: Spool;
}

/** First byte of a part of a file, and the end behind it. */
export type FileRange = readonly [start: number, end: number];

/** Parts of a file that are wanted first. */
export interface WantedFile {
  /** Without a leading slash. */
  readonly path: string;
  readonly ranges: readonly FileRange[];
}

/** By paths with a leading slash. */
export type WantedRanges = ReadonlyMap<string, readonly FileRange[]>;

/** Owners are forced first, then moved. Results are from 0 to 2^32 - 1. */
export interface Owners {
  readonly uid?: number;
  readonly gid?: number;
  readonly uidOffset?: number;
  readonly gidOffset?: number;
}

/** {@link WriteOptions} with every default in place. */
export interface Settings {
  readonly blockSize: number;
  readonly blockBits: number;
  readonly uuid: Uint8Array | undefined;
  readonly volumeName: Uint8Array;
  readonly time: Timestamp | undefined;
  readonly buildTime: number | undefined;
  readonly checksum: boolean;
  readonly inodes: 'auto' | 'extended' | 'compact';
  readonly ignoreTimes: boolean;
  readonly compactTimes: boolean;
  readonly listDots: boolean;
  readonly hardDereference: boolean;
  readonly xattrs: boolean;
  readonly label: ((path: string, type: FileType) => string | undefined) | undefined;
  /** That of digests is the last. */
  readonly xattrPrefixes: readonly LongPrefix[];
  readonly digests: DigestSettings | undefined;
  readonly xattrTolerance: number;
  readonly owners: Owners;
  readonly exclude: ((path: string) => boolean) | undefined;
  readonly list: (directory: TreeNode) => Awaitable<readonly DirectoryEntry[]>;
  readonly marks: LayerMarks | undefined;
  readonly inlineTails: boolean;
  /** Blocks whose multiples data of files begin at. */
  readonly dataUnit: number;
  /** Blocks whose multiple the image has. */
  readonly sizeUnit: number;
  readonly compression: CompressionSettings | undefined;
  /** Whether inodes lie in an inode of their own. */
  readonly metabox: boolean;
  readonly chunks: ChunkSettings | undefined;
  /** Whether data of files lie on the first device beside the image. */
  readonly hasBlob: boolean;
  readonly external: ExternalData | undefined;
  /** Devices beside the image. */
  readonly devices: number;
}

/** Numbers of devices have 16 bits. */
const DEVICES_MAX = 65535;

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
  const dataUnit = dataUnitOf(options, blockSize);
  return {
    blockSize,
    blockBits,
    uuid,
    volumeName: name,
    time: options.time,
    buildTime: buildTimeOf(options),
    checksum: options.checksum ?? true,
    inodes: options.inodes ?? 'auto',
    ignoreTimes: options.ignoreTimes ?? false,
    compactTimes: compactTimesOf(options),
    listDots: listDotsOf(options),
    hardDereference: options.hardDereference ?? false,
    xattrs: options.xattrs ?? true,
    label: options.label,
    ...prefixesOf(options),
    xattrTolerance: toleranceOf(options),
    owners: options.owners ?? {},
    exclude: options.exclude,
    ...listingOf(options),
    inlineTails: options.inlineTails ?? true,
    dataUnit,
    sizeUnit: unitOf('sizeAlignment', options.sizeAlignment, blockSize),
    compression: options.compression && settleCompression(options.compression, blockSize, dataUnit),
    metabox: hasMetabox(options),
    ...settleDevices(options, blockSize),
  };
}

function listingOf({ list = (directory) => directory.list(), marks }: WriteOptions) {
  if (marks === undefined) return { list, marks };
  const converted = new LayerMarks(marks, list);
  return { list: (directory: TreeNode) => converted.list(directory), marks: converted };
}

function prefixesOf({ xattrPrefixes = [], digests }: WriteOptions) {
  const prefixes = longPrefixesOf(xattrPrefixes);
  const settled = digests && settleDigests(digests, prefixes.length);
  return { xattrPrefixes: settled ? [...prefixes, settled.prefix] : prefixes, digests: settled };
}

function buildTimeOf({ buildTime }: WriteOptions): number | undefined {
  if (buildTime === undefined || Number.isSafeInteger(buildTime)) return buildTime;
  throw badOption('buildTime', buildTime, 'give whole seconds since 1970');
}

function settleDevices({ chunks, blob, external }: WriteOptions, blockSize: number) {
  const wanted = chunks ?? (blob || external ? {} : undefined);
  const devices = (blob ? 1 : 0) + (external?.devices.length ?? 0);
  if (devices > DEVICES_MAX) {
    throw badOption('devices:', devices, `at most ${DEVICES_MAX} can be beside an image`);
  }
  return {
    chunks: wanted && settleChunks(wanted, blockSize),
    hasBlob: blob !== undefined,
    external,
    devices,
  };
}

function hasMetabox({ compression, blob }: WriteOptions): boolean {
  if (blob && (compression?.metadata || compression?.directories)) {
    throw badOption(
      'metadata',
      'compressed',
      'with a blob they cannot be: its blocks follow on them',
    );
  }
  return compression?.metadata !== undefined;
}

/** The root's number has 64 bits where it lies in the metabox: the same feature says so. */
function compactTimesOf({ compactTimes, compression }: WriteOptions): boolean {
  if (compactTimes === false && compression?.metadata) {
    throw badOption('compactTimes', false, 'compressed metadata need it');
  }
  return compactTimes ?? compression?.metadata !== undefined;
}

function listDotsOf(options: WriteOptions): boolean {
  const { listDots = true } = options;
  if (listDots || compactTimesOf(options)) return listDots;
  throw badOption('listDots', false, 'set compactTimes too: the same kernels read both');
}

function dataUnitOf(
  { dataAlignment, chunks, blob, external }: WriteOptions,
  blockSize: number,
): number {
  const unit = unitOf('dataAlignment', dataAlignment, blockSize);
  if (dataAlignment === undefined) return unit;
  // Chunks lie one behind another: where they are smaller, so are the multiples they begin at.
  const chunkSize = chunks || blob || external ? (chunks?.size ?? CHUNK_SIZE) : dataAlignment;
  if (chunkSize % dataAlignment === 0) return unit;
  throw badOption(
    'dataAlignment',
    dataAlignment,
    `chunks of ${chunkSize} bytes are no multiple of it`,
  );
}

/** Blocks of an alignment in bytes. */
function unitOf(option: string, alignment: number | undefined, blockSize: number): number {
  if (alignment === undefined) return 1;
  const unit = alignment / blockSize;
  if (Number.isInteger(unit) && unit >= 1 && unit <= 2 ** 20) return unit;
  throw badOption(option, alignment, `give a multiple of ${blockSize}, up to ${2 ** 20} times it`);
}

function toleranceOf({ xattrTolerance = 1 }: WriteOptions): number {
  if (Number.isInteger(xattrTolerance) && xattrTolerance >= 0) return xattrTolerance;
  throw badOption('xattrTolerance', xattrTolerance, 'give a count of inodes');
}
