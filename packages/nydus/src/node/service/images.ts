import type { ReadOptions, Source } from '@anole/bytes';
import type { Descriptor } from '@anole/oci';
import type { BlobCache } from '../cache/cache.ts';
import { type OnDemandImage, openOnDemand } from './on-demand.ts';

/**
 * Images that are open, each once, however often it is mounted: a second descriptor of a file that is
 * being filled would wait for itself.
 */
export class OpenImages {
  readonly #cache: BlobCache;
  readonly #open = new Map<string, { readonly image: Promise<OnDemandImage>; uses: number }>();

  constructor(cache: BlobCache) {
    this.#cache = cache;
  }

  /** Opens an image, or the one that is open. Each caller closes what it gets. */
  async open(
    layer: Descriptor,
    far: () => Source,
    options: ReadOptions & { readonly descriptor?: number } = {},
  ): Promise<OnDemandImage> {
    const key = layer.digest;
    let entry = this.#open.get(key);
    if (entry === undefined) {
      entry = { image: openOnDemand(layer, far(), this.#cache, options), uses: 0 };
      this.#open.set(key, entry);
    }
    entry.uses++;
    try {
      const image = await entry.image;
      return { ...image, close: () => this.#close(key) };
    } catch (error) {
      this.#open.delete(key);
      throw error;
    }
  }

  async #close(key: string): Promise<void> {
    const entry = this.#open.get(key);
    if (entry === undefined || --entry.uses > 0) return;
    this.#open.delete(key);
    await (await entry.image).close();
  }
}
