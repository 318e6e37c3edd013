import type { RafsImage } from '../reader/image.ts';
import { type BlobRef, chunkKey, type StoredChunk } from './chunks.ts';

/**
 * Chunks of other images, by their digests: an image that is written with a dictionary refers to their
 * blobs instead of storing the same again.
 */
export class ChunkDictionary {
  readonly #chunks = new Map<string, StoredChunk>();

  /** Chunks in all. */
  get size(): number {
    return this.#chunks.size;
  }

  find(digest: Uint8Array, size: number): StoredChunk | undefined {
    return this.#chunks.get(chunkKey(digest, size));
  }

  /** Adds a chunk, unless one like it is there already. */
  put(chunk: StoredChunk): void {
    const key = chunkKey(chunk.digest, chunk.chunk.size);
    if (!this.#chunks.has(key)) this.#chunks.set(key, chunk);
  }

  /** Adds all chunks of an image, but those that have no digest. What is there already stays. */
  async add(image: RafsImage): Promise<void> {
    for (const blob of image.blobs) {
      const ref: BlobRef = { info: blob.info };
      const table = await blob.chunks();
      for (let at = 0; at < table.count; at++) {
        const chunk = table.chunk(at);
        const digest = await blob.digest(chunk.index);
        if (digest === undefined) continue;
        this.put({ blob: ref, chunk, digest: new Uint8Array(digest) });
      }
    }
  }
}
