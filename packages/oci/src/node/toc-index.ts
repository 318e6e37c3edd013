import type { ReadOptions, Source } from '@anole/bytes';
import { hostGunzip } from '@anole/host';
import type { LayerIndex } from '../layer-index.ts';
import type { Descriptor } from '../manifest.ts';
import { layerCompression } from '../media-types.ts';
import { estargzIndex, isEstargz } from '../toc/estargz.ts';
import { isZstdChunked } from '../toc/zstd-chunked.ts';
import { zstdChunkedIndex } from './zstd-chunked.ts';

/** Whether a layer says that it has a table of contents, and the digest of that: it is to be trusted like the layer. */
export function hasToc(layer: Descriptor): boolean {
  return isEstargz(layer) || isZstdChunked(layer);
}

/**
 * The index that a layer has in itself: eStargz, zstd:chunked. Of a gzip layer that says nothing its end is looked at;
 * what is found there is as its maker says, see {@link hasToc}.
 *
 * @param stored the layer; of it only the table is read
 * @returns undefined where it has none
 * @throws OciError `OCI_BAD_INDEX`, `OCI_WRONG_CONTENT`, `OCI_TOO_LARGE`, `OCI_UNSUPPORTED`
 */
export async function tocIndex(
  layer: Descriptor,
  stored: Source,
  options: ReadOptions = {},
): Promise<LayerIndex | undefined> {
  if (isZstdChunked(layer)) return zstdChunkedIndex(layer, stored, options);
  if (layerCompression(layer.mediaType) !== 'gzip') return undefined;
  return estargzIndex(layer, stored, { ...options, gunzip: hostGunzip });
}
