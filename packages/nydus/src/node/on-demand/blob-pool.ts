import type { ReadOptions } from '@anole/bytes';
import type { CachedBlob, RemoteBlob } from '../cache/blob.ts';
import type { BlobCache } from '../cache/cache.ts';
import { ImageMemory } from './memory.ts';

interface Entry {
  readonly blob: Promise<CachedBlob>;
  uses: number;
}

/**
 * Blobs that are open, each once, however many images have it: a second descriptor of a file that is
 * being filled would wait for itself.
 */
export class BlobPool {
  /** Of all images whose blobs these are. */
  readonly memory = new ImageMemory();
  readonly #cache: BlobCache;
  readonly #descriptors: Map<string, number>;
  readonly #open = new Map<string, Entry>();

  /**
   * @param descriptors of files of blobs, by their IDs, from an owner that is gone. They pass to the
   *   blobs.
   */
  constructor(cache: BlobCache, descriptors: ReadonlyMap<string, number> = new Map()) {
    this.#cache = cache;
    this.#descriptors = new Map(descriptors);
  }

  /** Opens a blob, or gives the one that is open. Who gets it calls {@link release}. @throws HostError */
  async open(remote: RemoteBlob, options: ReadOptions = {}): Promise<CachedBlob> {
    const { id } = remote;
    let entry = this.#open.get(id);
    if (entry === undefined) {
      const descriptor = this.#descriptors.get(id);
      this.#descriptors.delete(id);
      const given = { ...options, ...(descriptor !== undefined && { descriptor }) };
      entry = { blob: this.#cache.open(remote, given), uses: 0 };
      this.#open.set(id, entry);
      entry.blob.catch(() => this.#open.delete(id));
    } else await remote.close?.();
    entry.uses++;
    return await entry.blob;
  }

  async release({ id }: CachedBlob): Promise<void> {
    const entry = this.#open.get(id);
    if (entry === undefined || --entry.uses > 0) return;
    this.#open.delete(id);
    await (await entry.blob).close();
  }
}
