import type { CallOptions } from '@anole/bytes';
import { overlay, type Whiteouts } from '@anole/vfs';
import type { BlobInfo } from '../reader/blob-info.ts';
import type { RafsImage } from '../reader/image.ts';
import { encodeBootstrap } from './bootstrap.ts';
import { type BlobRef, badImages } from './chunks.ts';
import type { ChunkDictionary } from './dictionary.ts';
import type { Inode } from './inode.ts';
import { layOut } from './layout.ts';
import { checkLayers, type NamedImage } from './named-image.ts';
import { References } from './references.ts';
import { type Scanned, scan } from './scan.ts';

export interface MergeOptions extends CallOptions {
  /** How layers say that something below them is gone. Default `oci`. */
  readonly whiteouts?: Whiteouts;
  /** Its chunks are taken instead of those of the layers that are the same. */
  readonly dictionary?: ChunkDictionary;
}

export interface MergedRafs {
  readonly bootstrap: Uint8Array;
  /** Those whose data are still needed, in the order of the bootstrap's table. */
  readonly blobs: readonly BlobInfo[];
}

/**
 * One bootstrap for a stack of images, over the blobs that they have. Data are not read.
 *
 * @param layers the lowest first
 * @throws RafsError `RAFS_BAD_OPTION` where the images do not go together, `RAFS_CANNOT_STORE`
 * @example
 * const { bootstrap } = await mergeRafs([{ image: base }, { image: changes }]);
 */
export async function mergeRafs(
  layers: readonly NamedImage[],
  { whiteouts = 'oci', dictionary, ...call }: MergeOptions = {},
): Promise<MergedRafs> {
  const first = checkLayers(layers);
  dictionary?.checkLike(first);
  const trees = layers.map(({ image }) => image);
  const scanned = await scan(overlay(trees, { whiteouts }), { xattrs: true }, call);
  const references = new References(layers, dictionary);
  for (const inode of scanned.inodes) inode.chunks = await chunksOf(inode, references, call);
  return bootstrapLike(first, scanned, [...references.used]);
}

async function chunksOf(inode: Inode, references: References, call: CallOptions) {
  const chunks = await references.chunksOf(inode, call);
  if (chunks !== undefined) return chunks;
  throw badImages(`nobody knows the chunks of /${inode.path}`);
}

/** The bootstrap of an image that stores nothing, with the properties of another one. */
export function bootstrapLike(
  { compressor, digester, chunkSize }: RafsImage,
  { inodes, names }: Scanned,
  blobs: readonly BlobRef[],
): MergedRafs {
  const key = blobs.find(({ info }) => info.key !== undefined)?.info.key;
  const bootstrap = encodeBootstrap({
    inodes,
    names,
    inodesEnd: layOut(inodes, chunkSize),
    blobs,
    prefetch: [],
    settings: { compressor: compressor === 'gzip' ? 'none' : compressor, digester, chunkSize, key },
  });
  return { bootstrap, blobs: blobs.map(({ info }, index) => ({ ...info, index })) };
}
