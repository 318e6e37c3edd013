import type { RafsBlob } from '../reader/blob.ts';
import type { RafsImage } from '../reader/image.ts';
import { badImages, chunkKey, type StoredChunk } from './chunks.ts';
import { BlobRefs, checkAlike, type NamedImage } from './named-image.ts';

/**
 * Chunks of other images, by their digests: an image that is written with a dictionary refers to their
 * blobs instead of storing the same again.
 */
export class ChunkDictionary {
  /** Entries of blobs, shared by all that refers to them. */
  readonly blobs: BlobRefs;
  readonly #chunks = new Map<string, StoredChunk>();
  readonly #below: ChunkDictionary | undefined;
  #like: Pick<RafsImage, 'digester' | 'chunkSize'> | undefined;

  /** @param below a dictionary that is asked first, and does not change */
  constructor(below?: ChunkDictionary) {
    this.#below = below;
    this.blobs = below?.blobs ?? new BlobRefs();
  }

  /** Chunks in all. */
  get size(): number {
    return this.#chunks.size + (this.#below?.size ?? 0);
  }

  find(digest: Uint8Array, size: number): StoredChunk | undefined {
    return this.#below?.find(digest, size) ?? this.#chunks.get(chunkKey(digest, size));
  }

  /** Adds a chunk, unless one like it is there already. */
  put(chunk: StoredChunk): void {
    const { size } = chunk.chunk;
    if (this.find(chunk.digest, size) === undefined) {
      this.#chunks.set(chunkKey(chunk.digest, size), chunk);
    }
  }

  /**
   * Adds the chunks of an image's files, but those that have no digest. What is there already stays. Blobs
   * are read only where the bootstrap does not tell of their chunks.
   *
   * @param self what the blob is called that holds the image's bootstrap, where one does
   * @throws RafsError `RAFS_BAD_OPTION` where the image is not like those before, or of RAFS v5
   */
  async add(image: RafsImage, self?: NamedImage['self']): Promise<void> {
    if (image.version !== 6) throw badImages('one of them is of RAFS v5');
    this.checkLike(image);
    this.#like = image;
    for await (const chunk of chunksOf({ image, ...(self && { self }) }, this.blobs)) {
      this.put(chunk);
    }
  }

  /**
   * Checks that an image can refer to these chunks.
   *
   * @throws RafsError `RAFS_BAD_OPTION`
   */
  checkLike(image: Pick<RafsImage, 'digester' | 'chunkSize'>): void {
    this.#below?.checkLike(image);
    if (this.#like) checkAlike([this.#like, image]);
  }
}

/** All chunks that an image's bootstrap tells of and that have digests, blob by blob. */
export async function* chunksOf(
  layer: NamedImage,
  blobs: BlobRefs,
): AsyncGenerator<StoredChunk, void, undefined> {
  for (const blob of layer.image.blobs) {
    const ref = blobs.of(layer, blob.info);
    const table = await tableOf(blob);
    for (let at = 0; at < table.count; at++) {
      const chunk = table.chunk(at);
      const digest = await blob.digest(chunk.index);
      if (digest !== undefined) yield { blob: ref, chunk, digest: new Uint8Array(digest) };
    }
  }
}

async function tableOf(blob: RafsBlob) {
  const recorded = await blob.recorded();
  return recorded.count > 0 ? recorded : await blob.chunks();
}
