import type { Source } from '@anole/bytes';
import { fileSource } from '@anole/host';
import { MemoryTree, type Tree } from '@anole/vfs';
import { OciError } from '../../errors.ts';
import { applyIndexedLayer, openIndexedLayer } from '../../layer-index.ts';
import { isOwnName } from '../../toc/chunked-toc.ts';
import type { VariantFormat } from '../convert.ts';
import { sha256 } from '../indexed-tree.ts';
import type { StagedLayer } from '../staging.ts';
import { tocIndex } from '../toc-index.ts';
import { estargzFormat, zstdChunkedFormat } from './formats.ts';
import { writeChunkedLayer } from './write-layer.ts';

export interface ChunkedVariantOptions {
  /** Paths of files that come first in their layers, for readers that fetch them ahead. eStargz only. */
  readonly prioritized?: readonly string[];
}

/**
 * eStargz or zstd:chunked as `convertImage` writes them: the layers of the image, each with a table of its files in
 * itself, by which it can be read by ranges. Who knows nothing of that reads them as ever.
 *
 * @example
 * await convertImage(image, store, chunkedVariant('estargz'), options);
 */
export function chunkedVariant(
  name: 'estargz' | 'zstd:chunked',
  { prioritized = [] }: ChunkedVariantOptions = {},
): VariantFormat {
  const format = name === 'estargz' ? estargzFormat : zstdChunkedFormat;
  return {
    isOwn: isOwnName,
    write(staging, { signal }) {
      const layers: StagedLayer[] = [];
      const options = { prioritized, ...(signal && { signal }) };
      return {
        async layer(archive) {
          layers.push(await writeChunkedLayer(archive, format, staging, options));
        },
        finish: async () => layers,
      };
    },
    open: openChunked,
  };
}

/** The file system of layers in files, through their tables. */
async function openChunked(layers: readonly StagedLayer[]): Promise<Tree> {
  using resources = new DisposableStack();
  const tree = new MemoryTree();
  for (const { layer, path } of layers) {
    const stored: Source = resources.use(fileSource(path));
    const index = await tocIndex(layer, stored);
    if (index === undefined) {
      throw new OciError('OCI_BAD_INDEX', `Cannot find the table of contents of ${layer.digest}`);
    }
    applyIndexedLayer(tree, index, openIndexedLayer(index, stored, { sha256 }));
  }
  const kept = resources.move();
  return Object.assign(tree, { close: () => kept.dispose() });
}
