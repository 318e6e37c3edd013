import { closeSync } from 'node:fs';
import type { ReadOptions } from '@anole/bytes';
import type { CachedBlob } from '../cache/blob.ts';
import type { BlobCache } from '../cache/cache.ts';
import type { RemoteBlob } from '../cache/remote-blob.ts';
import { DecodedFile } from './decoded-file.ts';
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
  /** What was decoded of them, for readers whose kernel does not do that. */
  readonly decoded: DecodedFile;
  readonly #cache: BlobCache;
  readonly #descriptors: Map<string, number>;
  readonly #open = new Map<string, Entry>();
  /** Blobs of inherited descriptors that nobody uses yet, or any more: they stay open. */
  readonly #held = new Map<string, CachedBlob>();
  readonly #inherited: Set<string>;

  /**
   * @param descriptors of files of blobs, by their IDs, from an owner that is gone. They pass to the
   *   blobs, which stay open until {@link letGo}: other descriptors of these files would not do.
   */
  constructor(cache: BlobCache, descriptors: ReadonlyMap<string, number> = new Map()) {
    this.#cache = cache;
    this.decoded = new DecodedFile(cache.directory);
    this.#descriptors = new Map(descriptors);
    this.#inherited = new Set(descriptors.keys());
  }

  /** IDs of blobs whose files were inherited: none once they were let go. */
  get inherited(): ReadonlySet<string> {
    return this.#inherited;
  }

  /** Opens a blob, or gives the one that is open. Who gets it calls {@link release}. @throws HostError */
  async open(remote: RemoteBlob, options: ReadOptions = {}): Promise<CachedBlob> {
    const { id } = remote;
    let entry = this.#open.get(id);
    if (entry === undefined) {
      entry = { blob: this.#find(remote, options), uses: 0 };
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
    const blob = await entry.blob;
    if (this.#inherited.has(id)) this.#held.set(id, blob);
    else await blob.close();
  }

  /** Closes what was inherited and is not in use: nobody will come for it. */
  async letGo(): Promise<void> {
    const held = [...this.#held.values()];
    const descriptors = [...this.#descriptors.values()];
    // At once: who opens one meanwhile must not get what is being closed.
    for (const each of [this.#inherited, this.#held, this.#descriptors]) each.clear();
    for (const fd of descriptors) closeSync(fd);
    for (const blob of held) await blob.close();
  }

  async #find(remote: RemoteBlob, options: ReadOptions): Promise<CachedBlob> {
    const { id } = remote;
    const held = this.#held.get(id);
    if (held) {
      this.#held.delete(id);
      await held.comeFrom(remote);
      return held;
    }
    const descriptor = this.#descriptors.get(id);
    this.#descriptors.delete(id);
    return await this.#cache.open(remote, {
      ...options,
      ...(descriptor !== undefined && { descriptor }),
    });
  }
}
