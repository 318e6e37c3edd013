import { blobFeatures, SELF_ID } from '../layout/blob.ts';
import type { BlobInfo } from '../reader/blob-info.ts';
import type { RafsImage } from '../reader/image.ts';
import { type BlobRef, badImages } from './chunks.ts';

/** An image that another one will refer to. */
export interface NamedImage {
  readonly image: RafsImage;
  /** What the blob is called that holds the bootstrap of `image`, where one does. */
  readonly self?: Pick<BlobInfo, 'id' | 'compressedSize' | 'tocSize' | 'tocDigest'>;
}

/**
 * Entries of a blob table: a blob has one, by its name, however many images refer to it.
 */
export class BlobRefs {
  readonly #byName = new Map<string, BlobRef>();

  has({ id }: Pick<BlobInfo, 'id'>): boolean {
    return this.#byName.has(id);
  }

  /** @throws RafsError `RAFS_BAD_OPTION` where the blob is one that nobody has named */
  of({ self }: NamedImage, info: BlobInfo): BlobRef {
    const named = nameOf(self, info);
    let ref = this.#byName.get(named.id);
    if (ref === undefined) {
      ref = { info: named };
      this.#byName.set(named.id, ref);
    }
    return ref;
  }
}

/** A blob that held a bootstrap is one like the others to whoever refers to it. */
function nameOf(self: NamedImage['self'], info: BlobInfo): BlobInfo {
  if ((info.features & blobFeatures.inlinedFsMeta) === 0 && info.id !== SELF_ID) return info;
  if (self === undefined) throw badImages('nobody said what the blob of one is called');
  return { ...info, ...self, features: info.features & ~blobFeatures.inlinedFsMeta };
}

/**
 * What images must have in common of which one refers to another's chunks.
 *
 * @throws RafsError `RAFS_BAD_OPTION`
 */
export function checkAlike(images: readonly Pick<RafsImage, 'digester' | 'chunkSize'>[]): void {
  const [first] = images;
  for (const { digester, chunkSize } of images) {
    if (digester !== first!.digester) {
      throw badImages(`digests are ${first!.digester} here and ${digester} there`);
    }
    if (chunkSize !== first!.chunkSize) {
      throw badImages(`chunks have ${first!.chunkSize} bytes here and ${chunkSize} there`);
    }
  }
}

/**
 * Images of RAFS v6 that are alike.
 *
 * @returns the first
 * @throws RafsError `RAFS_BAD_OPTION`
 */
export function checkLayers(layers: readonly NamedImage[]): RafsImage {
  const images = layers.map(({ image }) => image);
  const [first] = images;
  if (first === undefined) throw badImages('there are none');
  if (images.some(({ version }) => version !== 6)) throw badImages('one of them is of RAFS v5');
  checkAlike(images);
  return first;
}
