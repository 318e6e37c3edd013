import type { CallOptions } from '@anole/bytes';
import type { BlobPool } from '../on-demand/blob-pool.ts';
import {
  type ImageBlobs,
  keyOf,
  type OnDemandImage,
  type OnDemandReference,
} from '../on-demand/image.ts';
import { openOnDemand } from '../on-demand/open.ts';

/** Images that are open, each once, however often it is mounted. */
export class OpenImages {
  readonly #pool: BlobPool;
  readonly #open = new Map<string, { readonly image: Promise<OnDemandImage>; uses: number }>();

  constructor(pool: BlobPool) {
    this.#pool = pool;
  }

  /** Opens an image, or the one that is open. Each caller closes what it gets. */
  async open(
    reference: OnDemandReference,
    from: () => ImageBlobs,
    options: CallOptions = {},
  ): Promise<OnDemandImage> {
    const key = keyOf(reference);
    let entry = this.#open.get(key);
    if (entry === undefined) {
      entry = { image: openOnDemand(reference, from(), this.#pool, options), uses: 0 };
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
