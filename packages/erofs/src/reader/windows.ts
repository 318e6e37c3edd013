import { type Flow, type Source, viewOf, wait } from '@anole/bytes';
import {
  type Algorithm,
  algorithmNames,
  CONFIG_ALIGN,
  DeflateConfig,
  LZ4_DISTANCE_MAX,
  Lz4Config,
  LzmaConfig,
  ZSTD_WINDOW_MIN,
  ZstdConfig,
} from '../layout/compression-config.ts';
import {
  INCOMPAT_COMPRESSION_CONFIG,
  SUPERBLOCK_OFFSET,
  SUPERBLOCK_SIZE,
  SUPERBLOCK_SLOT_SIZE,
  Superblock,
} from '../layout/superblock.ts';
import type { ImageInfo } from './superblock.ts';

/** Bytes of a record's own length, in front of it. */
const LENGTH = 2;

/**
 * Bytes that matches reach back at most, by algorithm, as an image says of its data: so much of what is decoded has to
 * be kept. Of records that end outside the first block nothing is known.
 */
export function* readWindows(
  source: Source,
  { algorithms, blockSize, featureIncompat }: ImageInfo,
): Flow<ReadonlyMap<Algorithm, number>> {
  const length = Math.min(blockSize, source.size - SUPERBLOCK_OFFSET);
  const head = new Uint8Array(yield* wait(source.read(SUPERBLOCK_OFFSET, length)));
  const view = viewOf(head);
  const { extensionSlots, compressionAlgorithms } = Superblock.at(view);
  if ((featureIncompat & INCOMPAT_COMPRESSION_CONFIG) === 0) {
    return new Map([['lz4', compressionAlgorithms || LZ4_DISTANCE_MAX]]);
  }
  const windows = new Map<Algorithm, number>();
  let at = SUPERBLOCK_SIZE + extensionSlots * SUPERBLOCK_SLOT_SIZE;
  for (const [number, name] of algorithmNames.entries()) {
    if ((algorithms & (1 << number)) === 0) continue;
    if (at + LENGTH + Lz4Config.size > head.length) break;
    windows.set(name, windowOf(name, view, at + LENGTH));
    at = Math.ceil((at + LENGTH + view.getUint16(at, true)) / CONFIG_ALIGN) * CONFIG_ALIGN;
  }
  return windows;
}

function windowOf(name: Algorithm, view: DataView, at: number): number {
  switch (name) {
    case 'lz4':
      return Lz4Config.at(view, at).maxDistance || LZ4_DISTANCE_MAX;
    case 'lzma':
      return LzmaConfig.at(view, at).dictionarySize;
    case 'deflate':
      return 2 ** DeflateConfig.at(view, at).windowBits;
    case 'zstd':
      return ZSTD_WINDOW_MIN * 2 ** ZstdConfig.at(view, at).windowLog;
  }
}
