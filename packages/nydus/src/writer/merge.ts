import type { CallOptions } from '@anole/bytes';
import { overlay, type TreeNode, type Whiteouts } from '@anole/vfs';
import { RafsError } from '../errors.ts';
import { blobFeatures, SELF_ID } from '../layout/blob.ts';
import type { RafsBlob } from '../reader/blob.ts';
import type { BlobInfo } from '../reader/blob-info.ts';
import { isRafsNode } from '../reader/file-chunks.ts';
import type { RafsImage } from '../reader/image.ts';
import { encodeBootstrap } from './bootstrap.ts';
import type { BlobRef, StoredChunk } from './chunks.ts';
import type { Inode } from './inode.ts';
import { layOut } from './layout.ts';
import { scan } from './scan.ts';

export interface MergeLayer {
  readonly image: RafsImage;
  /** What the blob is called that holds the bootstrap of `image`, where one does. */
  readonly self?: Pick<BlobInfo, 'id' | 'compressedSize' | 'tocSize' | 'tocDigest'>;
}

export interface MergeOptions extends CallOptions {
  /** How layers say that something below them is gone. Default `oci`. */
  readonly whiteouts?: Whiteouts;
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
  layers: readonly MergeLayer[],
  options: MergeOptions = {},
): Promise<MergedRafs> {
  const { image } = checkLayers(layers);
  const tree = overlay(
    layers.map((layer) => layer.image),
    { whiteouts: options.whiteouts ?? 'oci' },
  );
  const { inodes, names } = await scan(tree, { xattrs: true }, options);
  const references = new References(layers);
  for (const inode of inodes) inode.chunks = await references.chunksOf(inode, options);
  const { compressor, digester, chunkSize } = image;
  const blobs = references.used;
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

function checkLayers(layers: readonly MergeLayer[]): MergeLayer {
  const first = layers[0];
  if (first === undefined) throw unfit('there are none');
  const { digester, chunkSize } = first.image;
  for (const { image } of layers) {
    if (image.version !== 6) throw unfit('one of them is of RAFS v5');
    if (image.digester !== digester) throw unfit(`one has ${image.digester}, another ${digester}`);
    if (image.chunkSize !== chunkSize) {
      throw unfit(`chunks of one have ${image.chunkSize} bytes, of another ${chunkSize}`);
    }
  }
  return first;
}

function unfit(reason: string): RafsError {
  return new RafsError('RAFS_BAD_OPTION', `Cannot merge the images: ${reason}`, {
    hint: 'make them again with the same options',
  });
}

/** Chunks of layers, each blob and chunk once. */
class References {
  readonly used: BlobRef[] = [];
  readonly #layers: readonly MergeLayer[];
  readonly #blobs = new Map<RafsBlob, BlobRef>();
  readonly #byId = new Map<string, BlobRef>();
  readonly #chunks = new Map<BlobRef, Map<number, StoredChunk>>();

  constructor(layers: readonly MergeLayer[]) {
    this.#layers = layers;
  }

  async chunksOf({ node, stat, path }: Inode, { signal }: CallOptions): Promise<StoredChunk[]> {
    signal?.throwIfAborted();
    if (stat.type !== 'file' || stat.size === 0) return [];
    const origin = originOf(node);
    const chunks: StoredChunk[] = [];
    for (const { blob, chunk } of isRafsNode(origin) ? await origin.chunks() : []) {
      const ref = this.#refOf(blob);
      const known = this.#chunks.get(ref)!;
      let stored = known.get(chunk.index);
      if (stored === undefined) {
        const digest = await blob.digest(chunk.index);
        if (digest === undefined) throw unfit(`a chunk of /${path} has no digest`);
        stored = { blob: ref, chunk, digest: new Uint8Array(digest) };
        known.set(chunk.index, stored);
      }
      chunks.push(stored);
    }
    return chunks;
  }

  #refOf(blob: RafsBlob): BlobRef {
    const known = this.#blobs.get(blob);
    if (known !== undefined) return known;
    const info = this.#named(blob);
    let ref = this.#byId.get(info.id);
    if (ref === undefined) {
      ref = { info };
      this.#byId.set(info.id, ref);
      this.#chunks.set(ref, new Map());
      this.used.push(ref);
    }
    this.#blobs.set(blob, ref);
    return ref;
  }

  /** A blob that held a bootstrap is now one like the others. */
  #named({ info }: RafsBlob): BlobInfo {
    if ((info.features & blobFeatures.inlinedFsMeta) === 0 && info.id !== SELF_ID) return info;
    const layer = this.#layers.find(({ image }) => image.blobs.some((each) => each.info === info));
    if (layer?.self === undefined) throw unfit('nobody said what the blob of one is called');
    return { ...info, ...layer.self, features: info.features & ~blobFeatures.inlinedFsMeta };
  }
}

function originOf(node: TreeNode): TreeNode {
  return node.origin === undefined ? node : originOf(node.origin);
}
