import type { Awaitable } from '@anole/bytes';
import { LZ4_LEVEL_MAX } from '@anole/bytes';
import {
  LZMA_EXTREME,
  LZMA_LEVEL_MAX,
  type LzmaBits,
  usualLzmaBits,
} from '@anole/bytes/lzma-compress';
import { PCLUSTER_MAX_SIZE } from '../../layout/compression.ts';
import {
  type Algorithm,
  LZMA_WINDOW_MAX,
  LZMA_WINDOW_MIN,
  ZSTD_WINDOW_MAX,
  ZSTD_WINDOW_MIN,
} from '../../layout/compression-config.ts';
import { badOption } from '../bad-option.ts';
import type { Encoders } from './fillers.ts';
import { type Lanes, laneInThisThread } from './lanes.ts';
import type { Compressor, PieceSettings, TailMode } from './piece.ts';
import type { ReusedImage } from './reuse.ts';
import { memorySpool, type Spool } from './spool.ts';

/** How files are compressed. */
export interface CompressorOptions {
  readonly compressor: Compressor;
  /**
   * lz4hc: 3 to 12, 9 unless told; lzma: 0 to 9, 6 unless told, and
   * with 100 added those that search longest; zstd: 1 to 22, 3 unless told; deflate:
   * 1 to 9, 6 unless told.
   */
  readonly level?: number;
  /**
   * Bytes that matches of lzma and zstd reach back at most: a power of two, to 8 MiB and 1 MiB. Unless
   * told, eight times the largest pcluster.
   */
  readonly windowSize?: number;
  /** Of lzma alone: what it foresees bytes by. For text other bits do than for tables of numbers. */
  readonly lzmaBits?: Partial<LzmaBits>;
  /** Bytes of the largest pcluster: whole blocks, at most 1 MiB. One block unless told. */
  readonly pclusterSize?: number;
}

/** Another way of compressing, or none, for some files. */
export interface CompressionRule {
  /** Whether it is for the file at this path, which has no leading slash. The first rule counts. */
  readonly matches: (path: string) => boolean;
  /** Undefined: they are not compressed. */
  readonly by: CompressorOptions | undefined;
}

export interface CompressionOptions extends CompressorOptions {
  /** For files that are to be compressed otherwise. */
  readonly rules?: readonly CompressionRule[];
  /** Whether whole files go into the packed inode (mkfs.erofs `-Eall-fragments`), where `tails` is `fragment`. */
  readonly allFragments?: boolean;
  /**
   * Whether what files have in common is stored once (mkfs.erofs `-Ededupe`): contents that begin a
   * pcluster are found at any byte of what comes later. False unless told.
   */
  readonly dedupe?: boolean;
  /**
   * An image made before: of files that have the same path and content there, compressed data are taken
   * over where these options lead to such. Their levels are not known, and may be others.
   */
  readonly reuse?: ReusedImage;
  /** Bytes of a file that one pcluster holds at most: no fewer than a block. Not bounded unless given. */
  readonly maxExtentBytes?: number;
  /**
   * Inodes, and what lies beside them, are compressed so in an inode of their own (mkfs.erofs `-m`): Linux mounts such
   * images from 6.17 on. Not unless given.
   */
  readonly metadata?: CompressorOptions;
  /** Whether directories of more than a block are compressed (mkfs.erofs `--zD`). False unless told. */
  readonly directories?: boolean;
  /** As `pclusterSize`, of the packed inode. */
  readonly packedPclusterSize?: number;
  /**
   * What becomes of the end of a file: `inline` puts it compressed beside the inode (mkfs.erofs
   * `-Eztailpacking`), `fragment` gathers ends and small files in one packed inode (`-Efragments`).
   * Unless told, it has a block of its own.
   */
  readonly tails?: TailMode;
  /** For zstd and deflate. Not used where `lanes` is given. */
  readonly encoders?: Encoders;
  /** Where pieces are compressed. In one lane in this thread unless given. The caller ends them. */
  readonly lanes?: (variants: readonly PieceSettings[]) => Lanes;
  /** Makes a scratch file; at most four are made, and the caller frees them. In memory unless given. */
  readonly spool?: () => Awaitable<Spool>;
}

/** {@link CompressionOptions} with every default in place. */
export interface CompressionSettings {
  readonly blockSize: number;
  /** Blocks whose multiples data of files begin at. */
  readonly dataUnit: number;
  /** All ways of compressing; the first is the usual one. */
  readonly variants: readonly Variant[];
  /** That with the largest pclusters. */
  readonly largest: PieceSettings;
  /** Which is for a file; undefined where it is not compressed. */
  readonly variantFor: (file: { readonly path: string }) => number | undefined;
  readonly packedVariant: number;
  readonly metadataVariant: number | undefined;
  readonly directories: boolean;
  readonly allFragments: boolean;
  readonly dedupe: boolean;
  /** Whether equal pclusters are stored once: what `dedupe` finds, and where ends are gathered, others. */
  readonly shares: boolean;
  readonly reuse: ReusedImage | undefined;
  readonly tails: TailMode;
  readonly lanes: Lanes;
  readonly spool: () => Awaitable<Spool>;
}

/** One way of compressing. */
export interface Variant {
  readonly algorithm: Algorithm;
  readonly piece: PieceSettings;
}

/** Lowest, highest and usual level of each compressor. */
const levels: Readonly<Record<Compressor, readonly [number, number, number]>> = {
  lz4: [0, 0, 0],
  lz4hc: [3, LZ4_LEVEL_MAX, 9],
  lzma: [0, LZMA_LEVEL_MAX, 6],
  deflate: [1, 9, 6],
  zstd: [1, 22, 3],
};

/** Sizes of indexes hold the blocks of a pcluster in 11 bits. */
const PCLUSTER_BLOCKS_MAX = 2047;
/** Windows are no smaller unless told. */
const WINDOW_USUAL = 32 * 1024;
/** DEFLATE looks back so far. */
const DEFLATE_WINDOW = 32 * 1024;

/** @throws ErofsError `EROFS_BAD_OPTION` */
export function settleCompression(
  options: CompressionOptions,
  blockSize: number,
  dataUnit: number,
): CompressionSettings {
  const { tails = 'plain', encoders, rules = [], packedPclusterSize: packed } = options;
  if (blockSize > 16384) {
    throw badOption('blockSize', blockSize, 'compressed images have blocks of at most 16384 bytes');
  }
  const extentMax = extentMaxOf(options, blockSize);
  const variants = [variantOf(options, blockSize, extentMax)];
  const add = (one: CompressorOptions) => variants.push(variantOf(one, blockSize, extentMax)) - 1;
  const numbers = rules.map(({ by }) => by && add(by));
  const packedVariant = packed ? add({ ...options, pclusterSize: packed }) : 0;
  const metadataVariant = options.metadata && add(options.metadata);
  const pieces = variants.map(({ piece }) => piece);
  return {
    blockSize,
    dataUnit,
    variants,
    largest: pieces.reduce((a, b) => (a.pclusterSize < b.pclusterSize ? b : a)),
    variantFor(file) {
      if (rules.length === 0) return 0;
      const path = file.path.slice(1);
      const rule = rules.findIndex(({ matches }) => matches(path));
      return rule < 0 ? 0 : numbers[rule];
    },
    packedVariant,
    metadataVariant,
    directories: options.directories ?? false,
    allFragments: tails === 'fragment' && (options.allFragments ?? false),
    dedupe: options.dedupe ?? false,
    shares: (options.dedupe ?? false) || tails === 'fragment',
    reuse: options.reuse,
    tails,
    lanes: options.lanes ? options.lanes(pieces) : laneInThisThread(pieces, encoders),
    spool: options.spool ?? memorySpool,
  };
}

function extentMaxOf({ maxExtentBytes }: CompressionOptions, blockSize: number): number {
  if (maxExtentBytes === undefined) return Number.MAX_SAFE_INTEGER;
  if (Number.isSafeInteger(maxExtentBytes) && maxExtentBytes >= blockSize) return maxExtentBytes;
  throw badOption('maxExtentBytes', maxExtentBytes, `give ${blockSize} bytes or more`);
}

function variantOf(options: CompressorOptions, blockSize: number, extentMax: number): Variant {
  const { compressor } = options;
  if (!Object.hasOwn(levels, compressor)) {
    throw badOption('compressor', compressor, 'give lz4, lz4hc, lzma, deflate or zstd');
  }
  const piece: PieceSettings = {
    compressor,
    level: levelOf(options),
    blockSize,
    pclusterSize: pclusterSizeOf(options, blockSize),
    windowSize: windowSizeOf(options, blockSize),
    ...lzmaBitsOf(options),
    extentMax,
  };
  return { algorithm: compressor === 'lz4hc' ? 'lz4' : compressor, piece };
}

function levelOf({ compressor, level }: CompressorOptions): number {
  const [lowest, highest, usual] = levels[compressor];
  if (level === undefined) return usual;
  if (highest === 0) throw badOption('level', level, 'lz4 has no levels: choose lz4hc');
  const isExtreme = compressor === 'lzma' && level >= LZMA_EXTREME;
  const plain = isExtreme ? level - LZMA_EXTREME : level;
  if (Number.isInteger(level) && plain >= lowest && plain <= highest) return level;
  const more = compressor === 'lzma' ? ', and with 100 added' : '';
  throw badOption('level', level, `${compressor} has levels ${lowest} to ${highest}${more}`);
}

function pclusterSizeOf({ pclusterSize }: CompressorOptions, blockSize: number): number {
  const size = pclusterSize ?? blockSize;
  const blocks = size / blockSize;
  if (Number.isInteger(blocks) && blocks >= 1 && size <= PCLUSTER_MAX_SIZE) {
    if (blocks <= PCLUSTER_BLOCKS_MAX) return size;
  }
  const most = Math.min(PCLUSTER_MAX_SIZE, PCLUSTER_BLOCKS_MAX * blockSize);
  throw badOption('pclusterSize', size, `give a multiple of ${blockSize} up to ${most}`);
}

/** Smallest and largest windows that readers of each compressor's data take. */
const windows: Readonly<Partial<Record<Compressor, readonly [number, number]>>> = {
  lzma: [LZMA_WINDOW_MIN, LZMA_WINDOW_MAX],
  zstd: [ZSTD_WINDOW_MIN, ZSTD_WINDOW_MAX],
};

/** Unless told, what mkfs.erofs chooses: eight times the largest pcluster, where the format allows. */
function windowSizeOf(options: CompressorOptions, blockSize: number): number {
  const { compressor, windowSize } = options;
  const bounds = windows[compressor];
  if (bounds === undefined) {
    if (windowSize === undefined) return DEFLATE_WINDOW;
    throw badOption('windowSize', windowSize, `${compressor} has a window of one size`);
  }
  const [least, most] = bounds;
  if (windowSize === undefined) {
    const wanted = pclusterSizeOf(options, blockSize) * 8;
    return Math.min(Math.max(2 ** Math.floor(Math.log2(wanted)), WINDOW_USUAL), most);
  }
  const fits = Number.isInteger(Math.log2(windowSize)) && windowSize >= least && windowSize <= most;
  if (fits) return windowSize;
  throw badOption('windowSize', windowSize, `give a power of two from ${least} to ${most}`);
}

const LZMA_BITS_MAX = 4;

function lzmaBitsOf({ compressor, lzmaBits }: CompressorOptions): { readonly lzmaBits?: LzmaBits } {
  if (lzmaBits === undefined) return {};
  const shown = JSON.stringify(lzmaBits);
  if (compressor !== 'lzma') throw badOption('lzmaBits', shown, `${compressor} has none`);
  const bits = { ...usualLzmaBits, ...lzmaBits };
  const fits = (count: number) => Number.isInteger(count) && count >= 0 && count <= LZMA_BITS_MAX;
  const { literalContext, literalPosition, position } = bits;
  const areBits = [literalContext, literalPosition, position].every(fits);
  if (areBits && literalContext + literalPosition <= LZMA_BITS_MAX) return { lzmaBits: bits };
  throw badOption('lzmaBits', shown, 'give 0 to 4 of each, and for literals 4 at most together');
}
