import { AnoleError, type CallOptions } from '@anole/bytes';
import type { Image } from '../content.ts';
import { findingOf, type ImageFinding } from './check.ts';
import { readLayerIndex, type SociIndex } from './find-index.ts';
import { checkLayerIndex } from './indexed-tree.ts';
import { openBlob } from './open-blob.ts';

export interface IndexCheck {
  readonly findings: readonly ImageFinding[];
  /** Layers that have an index, and their bytes. */
  readonly layers: number;
  readonly bytes: number;
}

/**
 * Reads the layers of an image through its index, all of them, and compares what the index says of each
 * with what is there.
 *
 * @throws OciError where the index itself cannot be read; what it says wrongly is a finding
 */
export async function checkImageIndex(
  image: Image,
  index: SociIndex,
  options: CallOptions = {},
): Promise<IndexCheck> {
  const { signal, onProgress } = options;
  const { reader, manifest, config } = image;
  const findings: ImageFinding[] = [];
  const indexed = manifest.layers.filter(({ digest }) => index.ztocs.has(digest));
  const total = indexed.reduce((sum, { size }) => sum + size, 0);
  let bytes = 0;
  for (const layer of indexed) {
    const diffId = config.diffIds[manifest.layers.indexOf(layer)];
    const stored = openBlob(reader, layer);
    try {
      const layerIndex = await readLayerIndex(reader, index, layer, signal ? { signal } : {});
      await checkLayerIndex(layerIndex!, stored, diffId, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!AnoleError.is(error)) throw error;
      findings.push(findingOf(error.code, error.message, layer, undefined));
    } finally {
      await stored.close?.();
    }
    bytes += layer.size;
    onProgress?.({ step: 'check index', done: bytes, total, unit: 'bytes' });
  }
  return { findings, layers: indexed.length, bytes };
}
