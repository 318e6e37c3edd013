import {
  type Algorithm,
  algorithmNames,
  algorithms,
  CONFIG_ALIGN,
  DeflateConfig,
  LZ4_DISTANCE_MAX,
  Lz4Config,
  LzmaConfig,
  ZSTD_WINDOW_MIN,
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
import type { CompressionSettings, Variant } from './options.ts';
import type { PieceSettings } from './piece.ts';

const LENGTH_SIZE = 2;

/** Bytes after the superblock that describe the algorithms, where a file is compressed. */
export function configsSize({ compression }: Settings): number {
  if (compression === undefined) return 0;
  return configsOf(compression).reduce((size, config) => size + paddedSize(config), 0);
}

/** What {@link configsSize} counts. */
export function encodeConfigs({ hasCompressed, settings }: Plan): Uint8Array {
  const out = new Uint8Array(hasCompressed ? configsSize(settings) : 0);
  if (out.length === 0) return out;
  let at = 0;
  for (const config of configsOf(settings.compression!)) {
    out[at] = config.length;
    out.set(config, at + LENGTH_SIZE);
    at += paddedSize(config);
  }
  return out;
}

function paddedSize(config: Uint8Array): number {
  return Math.ceil((LENGTH_SIZE + config.length) / CONFIG_ALIGN) * CONFIG_ALIGN;
}

/** The superblock's fields about compression. */
export function compressionFields({ settings, hasCompressed, inodes, stored }: Plan): {
  readonly features: number;
  readonly compressionAlgorithms: number;
} {
  const { compression } = settings;
  if (compression === undefined || !hasCompressed) {
    // Long prefixes of attributes lie in a packed inode even where no file is compressed.
    return { features: stored?.packed ? INCOMPAT_FRAGMENTS : 0, compressionAlgorithms: 0 };
  }
  const configured = needsConfigs(compression);
  const inlined = inodes.some(({ compressed }) => compressed && compressed.inlineSize > 0);
  const used = compression.variants.reduce(
    (bits, one) => bits | (1 << algorithms[one.algorithm]),
    0,
  );
  return {
    features:
      INCOMPAT_ZERO_PADDING |
      (configured ? INCOMPAT_COMPRESSION_CONFIG : 0) |
      (inlined ? INCOMPAT_TAIL_PACKING : 0) |
      (stored?.packed || compression.shares ? INCOMPAT_FRAGMENTS : 0),
    compressionAlgorithms: configured ? used : LZ4_DISTANCE_MAX,
  };
}

/** LZ4 in single blocks is what readers assume. */
function needsConfigs({ variants }: CompressionSettings): boolean {
  return variants.some(
    ({ algorithm, piece }) => algorithm !== 'lz4' || piece.pclusterSize > piece.blockSize,
  );
}

/** A record for each algorithm in order of their numbers, if any is needed. */
function configsOf(compression: CompressionSettings): Uint8Array[] {
  if (!needsConfigs(compression)) return [];
  return algorithmNames.flatMap((algorithm) => {
    const variants = compression.variants.filter((one) => one.algorithm === algorithm);
    return variants.length === 0 ? [] : [encodeConfig(algorithm, variants)];
  });
}

/** What suffices for all files of one algorithm. */
function encodeConfig(algorithm: Algorithm, variants: readonly Variant[]): Uint8Array {
  const largest = (of: (piece: PieceSettings) => number) =>
    Math.max(...variants.map(({ piece }) => of(piece)));
  const windowSize = largest((piece) => piece.windowSize);
  switch (algorithm) {
    case 'deflate':
      return DeflateConfig.encode({ windowBits: Math.log2(windowSize) });
    case 'lzma':
      return LzmaConfig.encode({ dictionarySize: windowSize, format: 0 });
    case 'zstd':
      return ZstdConfig.encode({
        format: 0,
        windowLog: Math.log2(windowSize / ZSTD_WINDOW_MIN),
      });
    case 'lz4': {
      const maxPclusterBlocks = largest((piece) => piece.pclusterSize / piece.blockSize);
      return Lz4Config.encode({ maxDistance: LZ4_DISTANCE_MAX, maxPclusterBlocks });
    }
  }
}
