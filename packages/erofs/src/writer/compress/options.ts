import type { Awaitable } from '@anole/bytes';
import { LZ4_LEVEL_MAX } from '@anole/bytes';
import { PCLUSTER_MAX_SIZE } from '../../layout/compression.ts';
import { type Algorithm, ZSTD_WINDOW_MAX } from '../../layout/compression-config.ts';
import { badOption } from '../bad-option.ts';
import type { Encoders } from './fillers.ts';
import { type Lanes, laneInThisThread } from './lanes.ts';
import type { Compressor, PieceSettings, TailMode } from './piece.ts';
import { memorySpool, type Spool } from './spool.ts';

export interface CompressionOptions {
  readonly compressor: Compressor;
  /** lz4hc: 3 to 12, 9 unless told; zstd: 1 to 22, 3 unless told; deflate: 1 to 9, 6 unless told. */
  readonly level?: number;
  /** Bytes of the largest pcluster: whole blocks, at most 1 MiB. One block unless told. */
  readonly pclusterSize?: number;
  /**
   * What becomes of the end of a file: `inline` puts it compressed beside the inode (mkfs.erofs
   * `-Eztailpacking`), `fragment` gathers ends and small files in one packed inode (`-Efragments`).
   * Unless told, it has a block of its own.
   */
  readonly tails?: TailMode;
  /** For zstd and deflate. Not used where `lanes` is given. */
  readonly encoders?: Encoders;
  /** Where pieces are compressed. In one lane in this thread unless given. The caller ends them. */
  readonly lanes?: (settings: PieceSettings) => Lanes;
  /** Makes a scratch file; at most two are made, and the caller frees them. In memory unless given. */
  readonly spool?: () => Awaitable<Spool>;
}

/** {@link CompressionOptions} with every default in place. */
export interface CompressionSettings {
  readonly algorithm: Algorithm;
  readonly piece: PieceSettings;
  readonly tails: TailMode;
  readonly lanes: Lanes;
  readonly spool: () => Awaitable<Spool>;
}

/** Lowest, highest and usual level of each compressor. */
const levels: Readonly<Record<Compressor, readonly [number, number, number]>> = {
  lz4: [0, 0, 0],
  lz4hc: [3, LZ4_LEVEL_MAX, 9],
  deflate: [1, 9, 6],
  zstd: [1, 22, 3],
};

/** Sizes of indexes hold the blocks of a pcluster in 11 bits. */
const PCLUSTER_BLOCKS_MAX = 2047;
/** DEFLATE looks back so far. */
const DEFLATE_WINDOW = 32 * 1024;

/** @throws ErofsError `EROFS_BAD_OPTION` */
export function settleCompression(
  options: CompressionOptions,
  blockSize: number,
): CompressionSettings {
  const { compressor, tails = 'plain', encoders } = options;
  if (!Object.hasOwn(levels, compressor)) {
    throw badOption('compressor', compressor, 'give lz4, lz4hc, deflate or zstd');
  }
  if (blockSize > 16384) {
    throw badOption('blockSize', blockSize, 'compressed images have blocks of at most 16384 bytes');
  }
  const piece: PieceSettings = {
    compressor,
    level: levelOf(options),
    blockSize,
    pclusterSize: pclusterSizeOf(options, blockSize),
    windowSize: windowSizeOf(options, blockSize),
  };
  return {
    algorithm: compressor === 'lz4hc' ? 'lz4' : compressor,
    piece,
    tails,
    lanes: options.lanes ? options.lanes(piece) : laneInThisThread(piece, encoders),
    spool: options.spool ?? memorySpool,
  };
}

function levelOf({ compressor, level }: CompressionOptions): number {
  const [lowest, highest, usual] = levels[compressor];
  if (level === undefined) return usual;
  if (highest === 0) throw badOption('level', level, 'lz4 has no levels: choose lz4hc');
  if (Number.isInteger(level) && level >= lowest && level <= highest) return level;
  throw badOption('level', level, `${compressor} has levels ${lowest} to ${highest}`);
}

function pclusterSizeOf({ pclusterSize }: CompressionOptions, blockSize: number): number {
  const size = pclusterSize ?? blockSize;
  const blocks = size / blockSize;
  if (Number.isInteger(blocks) && blocks >= 1 && size <= PCLUSTER_MAX_SIZE) {
    if (blocks <= PCLUSTER_BLOCKS_MAX) return size;
  }
  const most = Math.min(PCLUSTER_MAX_SIZE, PCLUSTER_BLOCKS_MAX * blockSize);
  throw badOption('pclusterSize', size, `give a multiple of ${blockSize} up to ${most}`);
}

/** What mkfs.erofs chooses: eight times the largest pcluster, where the format allows. */
function windowSizeOf(options: CompressionOptions, blockSize: number): number {
  if (options.compressor !== 'zstd') return DEFLATE_WINDOW;
  const wanted = pclusterSizeOf(options, blockSize) * 8;
  return Math.min(2 ** Math.floor(Math.log2(wanted)), ZSTD_WINDOW_MAX);
}
