import {
  algorithms,
  CONFIG_ALIGN,
  DeflateConfig,
  Lz4Config,
  ZstdConfig,
} from '../../layout/compression-config.ts';
import {
  INCOMPAT_COMPRESSION_CONFIG,
  INCOMPAT_FRAGMENTS,
  INCOMPAT_TAIL_PACKING,
  INCOMPAT_ZERO_PADDING,
} from '../../layout/superblock.ts';
import type { Settings } from '../options.ts';
import type { Plan } from '../plan.ts';
import type { CompressionSettings } from './options.ts';

const LENGTH_SIZE = 2;
/** Bytes a window of ZSTD has at least, as its config counts. */
const ZSTD_WINDOW_LOG_MIN = 10;
const LZ4_DISTANCE = 65535;

/** Bytes after the superblock that describe the algorithm, where a file is compressed. */
export function configsSize({ compression }: Settings): number {
  if (compression === undefined || !needsConfig(compression)) return 0;
  const size = LENGTH_SIZE + encodeConfig(compression).length;
  return Math.ceil(size / CONFIG_ALIGN) * CONFIG_ALIGN;
}

/** What {@link configsSize} counts. */
export function encodeConfigs({ hasCompressed, settings }: Plan): Uint8Array {
  const out = new Uint8Array(hasCompressed ? configsSize(settings) : 0);
  if (out.length === 0) return out;
  const config = encodeConfig(settings.compression!);
  out[0] = config.length;
  out.set(config, LENGTH_SIZE);
  return out;
}

/** The superblock's fields about compression. */
export function compressionFields({ settings, hasCompressed, inodes, stored }: Plan): {
  readonly features: number;
  readonly compressionAlgorithms: number;
} {
  const { compression } = settings;
  if (compression === undefined || !hasCompressed) return { features: 0, compressionAlgorithms: 0 };
  const configured = needsConfig(compression);
  const inlined = inodes.some(({ compressed }) => compressed && compressed.inlineSize > 0);
  return {
    features:
      INCOMPAT_ZERO_PADDING |
      (configured ? INCOMPAT_COMPRESSION_CONFIG : 0) |
      (inlined ? INCOMPAT_TAIL_PACKING : 0) |
      (stored?.packed ? INCOMPAT_FRAGMENTS : 0),
    compressionAlgorithms: configured ? 1 << algorithms[compression.algorithm] : LZ4_DISTANCE,
  };
}

/** LZ4 in single blocks is what readers assume. */
function needsConfig({ algorithm, piece }: CompressionSettings): boolean {
  return algorithm !== 'lz4' || piece.pclusterSize > piece.blockSize;
}

function encodeConfig({ algorithm, piece }: CompressionSettings): Uint8Array {
  const { windowSize, pclusterSize, blockSize } = piece;
  const window = Math.log2(windowSize);
  switch (algorithm) {
    case 'deflate':
      return DeflateConfig.encode({ windowBits: window });
    case 'zstd':
      return ZstdConfig.encode({ format: 0, windowLog: window - ZSTD_WINDOW_LOG_MIN });
    default: {
      const maxPclusterBlocks = pclusterSize / blockSize;
      return Lz4Config.encode({ maxDistance: LZ4_DISTANCE, maxPclusterBlocks });
    }
  }
}
