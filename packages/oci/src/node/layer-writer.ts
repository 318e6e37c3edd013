import { createGzip, createZstdCompress } from 'node:zlib';
import type { ImageWriter } from '../content.ts';
import { type Compression, mediaTypes } from '../media-types.ts';
import { Staging, type StagingOptions, type WrittenLayer } from './staging.ts';

export interface WriteLayerOptions extends StagingOptions {
  /** Default `gzip`. */
  readonly compression?: Compression;
}

const types: Readonly<Record<Compression, string>> = {
  none: mediaTypes.layer,
  gzip: mediaTypes.layerGzip,
  zstd: mediaTypes.layerZstd,
};

const compressors = {
  none: () => undefined,
  gzip: createGzip,
  zstd: createZstdCompress,
} as const;

/**
 * Writes a tar archive as a layer. The same bytes give the same layer, with the same version of
 * Node's compressors. Chunks may be reused by their maker.
 */
export async function writeLayer(
  tar: AsyncIterable<Uint8Array>,
  to: ImageWriter,
  options: WriteLayerOptions,
): Promise<WrittenLayer> {
  const { compression = 'gzip' } = options;
  await using staging = await Staging.open(to, options);
  const staged = await staging.add(tar, types[compression], compressors[compression]());
  await staging.put(staged);
  const { layer, diffId } = staged;
  return { layer, diffId };
}
