import { AnoleError, type CallOptions } from '@anole/bytes';
import type { Image } from '../content.ts';
import { findingOf, type ImageFinding } from './check.ts';
import { checkLayerIndex, checkTocIndex } from './check-layer-index.ts';
import type { FindIndex } from './indexed-tree.ts';
import { openBlob } from './open-blob.ts';

export interface IndexCheck {
  readonly findings: readonly ImageFinding[];
  /** Layers that have an index, and their bytes. */
  readonly layers: number;
  readonly bytes: number;
}

/**
 * Reads the layers of an image through their indexes, all of them, and compares what the index says of each
 * with what is there. What it says wrongly, or cannot be read of it, is a finding.
 *
 * @param find gives the index of a layer, as `findIndexes` does
 */
export async function checkImageIndex(
  image: Image,
  find: FindIndex,
  options: CallOptions = {},
): Promise<IndexCheck> {
  const { signal, onProgress } = options;
  const { reader, manifest, config } = image;
  const findings: ImageFinding[] = [];
  const total = manifest.layers.reduce((sum, { size }) => sum + size, 0);
  let layers = 0;
  let bytes = 0;
  for (const [at, layer] of manifest.layers.entries()) {
    const stored = openBlob(reader, layer);
    try {
      const index = await find(layer);
      if (index === undefined) continue;
      layers++;
      if (index.parts && !index.parts.isArchive) await checkTocIndex(layer, index, stored, signal);
      else await checkLayerIndex(index, stored, config.diffIds[at], signal);
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
  return { findings, layers, bytes };
}
