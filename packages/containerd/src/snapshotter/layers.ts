import type { ReadOptions } from '@anole/bytes';
import type { OnDemandLayer, Snapshot, Usage } from './snapshot.ts';
import type { SnapshotStore } from './store.ts';
import { usageOf } from './usage.ts';

/** Images in a form that loads on demand. */
export interface OnDemandImages {
  /**
   * The layer of an image by its chain ID; undefined where the image has no form that loads on demand.
   *
   * @param reference `HOST/NAME:TAG`, as containerd has it
   */
  find(
    reference: string,
    chainId: string,
    options?: ReadOptions,
  ): Promise<OnDemandLayer | undefined>;
  /** Mounts a variant, where it is not mounted already. @returns the directory */
  mount(variant: string): Promise<string>;
  /** What this computer has of a variant by now; undefined where it is not mounted, or nobody can tell. */
  usage(variant: string): Promise<Usage | undefined>;
  /** Writes the files of an image's lowest layers to a directory, which is empty. */
  unpack(original: string, depth: number, directory: string, options?: ReadOptions): Promise<void>;
  /** Unmounts what is mounted but not wanted. What a container still stands on goes on. */
  unmountOthers(wanted: ReadonlySet<string>): Promise<void>;
}

/** Finds what snapshots stand on, and has it there. */
export class Layers {
  readonly #store: SnapshotStore;
  readonly #images: OnDemandImages;
  readonly #flattening = new Map<string, Promise<string>>();

  constructor(store: SnapshotStore, images: OnDemandImages) {
    this.#store = store;
    this.#images = images;
  }

  /**
   * Directories with the files of a committed snapshot and of all below it, the uppermost first. One that
   * has all below it in it is the last.
   *
   * @throws what mounting and unpacking raise
   */
  async directoriesOf(
    snapshot: Snapshot | undefined,
    options: ReadOptions = {},
  ): Promise<string[]> {
    const found: string[] = [];
    for (let at = snapshot; at; at = this.#store.parentOf(at)) {
      if (at.isFlat) return [...found, this.#store.at(at, 'fs')];
      if (at.onDemand) return [...found, await this.#whole(at, at.onDemand, options)];
      found.push(this.#store.at(at, 'fs'));
    }
    return found;
  }

  async #whole(
    snapshot: Snapshot,
    { variant, isLast }: OnDemandLayer,
    options: ReadOptions,
  ): Promise<string> {
    if (isLast) return await this.#images.mount(variant);
    const known = this.#flattening.get(snapshot.id);
    if (known) return await known;
    const work = this.#flatten(snapshot, options);
    this.#flattening.set(snapshot.id, work);
    try {
      return await work;
    } finally {
      this.#flattening.delete(snapshot.id);
    }
  }

  /** Unpacks the layers that a snapshot only promises, since somebody wants to stand on them. */
  async #flatten(snapshot: Snapshot, options: ReadOptions): Promise<string> {
    const { original, depth } = snapshot.onDemand!;
    const directory = this.#store.at(snapshot, 'fs');
    await this.#images.unpack(original, depth, directory, options);
    const usage = await usageOf(directory);
    // As it is now: labels may have changed, or it may have been removed.
    const { onDemand: _, ...rest } = this.#store.find(snapshot.name);
    await this.#store.put({ ...rest, isFlat: true, usage });
    return directory;
  }
}
