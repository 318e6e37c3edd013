import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import type { ReadOptions } from '@anole/bytes';
import { acquireLock, hostError, type Lock } from '@anole/host';
import type { Mount } from '../api/types.ts';
import { ContainerdError } from '../errors.ts';
import { filterOf } from './filters.ts';
import { Layers, type OnDemandImages } from './layers.ts';
import { mountsOf } from './mounts.ts';
import { overlayOptions } from './overlay-options.ts';
import type { Snapshot, SnapshotKind, Usage } from './snapshot.ts';
import { exists, SnapshotStore } from './store.ts';
import { usageOf } from './usage.ts';

/** Labels by which containerd and its clients say for what a snapshot is prepared. */
export const labelNames = {
  /** Chain ID under which it will be committed. */
  target: 'containerd.io/snapshot.ref',
  /** Name of the image, as the client has it. */
  image: 'containerd.io/snapshot/cri.image-ref',
} as const;

export interface SnapshotterOptions {
  readonly images: OnDemandImages;
  /** Told what happened that nobody is told otherwise. */
  onEvent?(event: Readonly<Record<string, unknown>>): void;
}

interface Wanted {
  readonly key: string;
  /** Name of a committed snapshot, or ''. */
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
}

type Uncommitted = Exclude<SnapshotKind, 'committed'>;

/**
 * Snapshots as containerd wants them (containerd, `snapshots.Snapshotter`). Layers of images that have a
 * form that loads on demand are there without having been fetched; all others are directories that
 * overlayfs lays over each other.
 */
export class Snapshotter implements AsyncDisposable {
  readonly #store: SnapshotStore;
  readonly #layers: Layers;
  readonly #lock: Lock;
  readonly #options: SnapshotterOptions;
  readonly #overlay: readonly string[];
  readonly #promising = new Map<string, Promise<boolean>>();

  private constructor(store: SnapshotStore, lock: Lock, options: SnapshotterOptions) {
    this.#store = store;
    this.#lock = lock;
    this.#options = options;
    this.#layers = new Layers(store, options.images);
    this.#overlay = overlayOptions();
  }

  /**
   * Opens the snapshots of a directory.
   *
   * @throws HostError `HOST_LOCKED` where another process has them; ContainerdError `CONTAINERD_BAD_REQUEST`
   *   for a path that overlayfs cannot take
   */
  static async open(directory: string, options: SnapshotterOptions): Promise<Snapshotter> {
    if (/[:,\\]/.test(directory)) {
      throw new ContainerdError(
        'CONTAINERD_BAD_REQUEST',
        `Cannot keep snapshots in ${directory}: overlayfs takes no colon, comma or backslash`,
      );
    }
    const lock = await acquireLock(`${directory}/lock`, { patience: 0 });
    try {
      return new Snapshotter(await SnapshotStore.open(directory), lock, options);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /**
   * A snapshot to write into.
   *
   * @throws ContainerdError `CONTAINERD_EXISTS` also where the layer that would be written is there on demand;
   *   `CONTAINERD_NOT_FOUND`, `CONTAINERD_BAD_REQUEST`
   */
  async prepare(wanted: Wanted, options: ReadOptions = {}): Promise<readonly Mount[]> {
    const { [labelNames.target]: target, [labelNames.image]: image } = wanted.labels;
    if (target && image && (await this.#promise(wanted, target, image))) throw exists(target);
    return await this.#create('active', wanted, options);
  }

  /** A snapshot to look at. @throws ContainerdError as {@link prepare} */
  view(wanted: Wanted, options: ReadOptions = {}): Promise<readonly Mount[]> {
    return this.#create('view', wanted, options);
  }

  /** @throws ContainerdError `CONTAINERD_NOT_FOUND`, `CONTAINERD_IN_USE` for a committed one */
  async mounts(key: string): Promise<readonly Mount[]> {
    const snapshot = this.#store.find(key);
    if (snapshot.kind === 'committed') throw wrongKind(snapshot, 'mount');
    return await this.#mountsOf(snapshot, snapshot.kind);
  }

  /** Gives an active snapshot a name under which others stand on it. @throws ContainerdError */
  async commit(name: string, key: string, labels: Snapshot['labels']): Promise<void> {
    const snapshot = this.#store.find(key);
    if (snapshot.kind !== 'active') throw wrongKind(snapshot, 'commit');
    if (name === '') throw nameless('commit');
    const usage = await usageOf(this.#store.at(snapshot, 'fs'));
    const now = Date.now();
    await this.#store.put({
      ...snapshot,
      kind: 'committed',
      name,
      usage,
      labels: { ...snapshot.labels, ...labels },
      created: now,
      updated: now,
    });
  }

  /** @throws ContainerdError `CONTAINERD_NOT_FOUND`, `CONTAINERD_IN_USE` where others stand on it */
  async remove(key: string): Promise<void> {
    const snapshot = this.#store.find(key);
    if (this.#store.childrenOf(snapshot).length > 0) {
      throw new ContainerdError(
        'CONTAINERD_IN_USE',
        `Cannot remove the snapshot ${key}: others stand on it`,
      );
    }
    await this.#store.remove(snapshot);
    if (snapshot.onDemand?.isLast) await this.#unmountUnused().catch(this.#report('not unmounted'));
  }

  /** @throws ContainerdError `CONTAINERD_NOT_FOUND` */
  stat(key: string): Snapshot {
    return this.#store.find(key);
  }

  /** Name of a snapshot's parent, '' for none. */
  parentName(snapshot: Snapshot): string {
    return this.#store.parentOf(snapshot)?.name ?? '';
  }

  /**
   * Changes labels: all, or those of `paths` (`labels.NAME`).
   *
   * @throws ContainerdError `CONTAINERD_NOT_FOUND`, `CONTAINERD_BAD_REQUEST` for what cannot be changed
   */
  async update(
    key: string,
    labels: Snapshot['labels'],
    paths: readonly string[],
  ): Promise<Snapshot> {
    const before = this.#store.find(key);
    const merged = new Map(Object.entries(before.labels));
    for (const path of paths.length === 0 ? ['labels'] : paths) {
      if (path === 'labels') {
        merged.clear();
        for (const [name, value] of Object.entries(labels)) merged.set(name, value);
      } else if (path.startsWith('labels.')) {
        const name = path.slice('labels.'.length);
        const value = labels[name];
        if (value) merged.set(name, value);
        else merged.delete(name);
      } else {
        throw new ContainerdError(
          'CONTAINERD_BAD_REQUEST',
          `Cannot change ${path} of the snapshot ${key}: only labels change`,
        );
      }
    }
    const after = { ...before, labels: Object.fromEntries(merged), updated: Date.now() };
    await this.#store.put(after);
    return after;
  }

  /** @throws ContainerdError `CONTAINERD_BAD_REQUEST` for a filter that makes no sense */
  list(filters: readonly string[]): readonly Snapshot[] {
    return this.#store.all().filter(filterOf(filters, (each) => this.parentName(each)));
  }

  /**
   * What a snapshot takes beside its parent: of an image on demand what has come of it, with its last layer.
   *
   * @throws ContainerdError `CONTAINERD_NOT_FOUND`
   */
  async usage(key: string): Promise<Usage> {
    const snapshot = this.#store.find(key);
    const { onDemand } = snapshot;
    const here = onDemand?.isLast && (await this.#options.images.usage(onDemand.variant));
    if (here) return here;
    return snapshot.usage ?? (await usageOf(this.#store.at(snapshot, 'fs')));
  }

  /** Gives back what removed snapshots took. @throws HostError */
  async cleanup(): Promise<void> {
    await this.#unmountUnused();
    await this.#store.settle();
  }

  /** Ends, when what was removed has been deleted. Mounts stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store.settle().catch(this.#report('not deleted'));
    this.#lock.release();
  }

  async #create(
    kind: Uncommitted,
    { key, parent: parentName, labels }: Wanted,
    options: ReadOptions,
  ): Promise<readonly Mount[]> {
    if (key === '') throw nameless('make');
    if (this.#store.get(key)) throw exists(key);
    const parent = parentName === '' ? undefined : this.#store.find(parentName);
    if (parent && parent.kind !== 'committed') throw wrongKind(parent, 'stand on');
    const lowers = await this.#layers.directoriesOf(parent, options);
    const id = await this.#store.reserve();
    try {
      await this.#makeDirectories(id, kind, lowers[0]);
      // Fetching may have taken long.
      if (parent) this.#store.find(parentName);
      const now = Date.now();
      const times = { created: now, updated: now };
      await this.#store.put({
        id,
        kind,
        name: key,
        ...(parent && { parent: parent.id }),
        labels,
        ...times,
      });
    } catch (error) {
      await this.#store.giveBack(id);
      throw hostError(error, `make the snapshot ${key}`);
    }
    return mountsOf(kind, this.#directories(id, lowers), this.#overlay);
  }

  /** The root of what is mounted is that of the upper directory: it is as the one below it. */
  async #makeDirectories(id: string, kind: Uncommitted, below: string | undefined): Promise<void> {
    const upper = this.#store.at({ id }, 'fs');
    await mkdir(upper, { mode: 0o755 });
    if (kind === 'active') await mkdir(this.#store.at({ id }, 'work'), { mode: 0o711 });
    if (below === undefined) return;
    const { mode, uid, gid } = await stat(below);
    await chown(upper, uid, gid);
    await chmod(upper, mode & 0o7777);
  }

  async #mountsOf(snapshot: Snapshot, kind: Uncommitted): Promise<readonly Mount[]> {
    const lowers = await this.#layers.directoriesOf(this.#store.parentOf(snapshot));
    return mountsOf(kind, this.#directories(snapshot.id, lowers), this.#overlay);
  }

  #directories(id: string, lowers: readonly string[]) {
    return { lowers, upper: this.#store.at({ id }, 'fs'), work: this.#store.at({ id }, 'work') };
  }

  /** Whether a layer is there without being fetched, or can be. What is asked twice is done once. */
  async #promise(wanted: Wanted, target: string, image: string): Promise<boolean> {
    const parent = wanted.parent === '' ? undefined : this.#store.find(wanted.parent);
    const key = `${target} on ${parent?.id}`;
    const known = this.#promising.get(key);
    if (known) return await known;
    const work = this.#promiseLayer(wanted.labels, target, image, parent).catch((error) => {
      // What cannot be had so is had in the ordinary way.
      this.#report('not on demand', { image, layer: target })(error);
      return false;
    });
    this.#promising.set(key, work);
    try {
      return await work;
    } finally {
      this.#promising.delete(key);
    }
  }

  async #promiseLayer(
    labels: Snapshot['labels'],
    target: string,
    image: string,
    parent: Snapshot | undefined,
  ): Promise<boolean> {
    // containerd looks for it so: by label and parent.
    const same = this.#store.all().find(({ kind, labels: each, parent: below }) => {
      return kind === 'committed' && each[labelNames.target] === target && below === parent?.id;
    });
    if (same && (!same.onDemand || same.onDemand.isLast)) return true;
    const onDemand = await this.#options.images.find(image, target);
    if (onDemand === undefined) return same !== undefined;
    // Also for the layers below the last one: what cannot be mounted is not promised.
    await this.#options.images.mount(onDemand.variant);
    if (same && !onDemand.isLast) return true;
    const now = Date.now();
    const id = same?.id ?? (await this.#store.reserve());
    await this.#store.put({
      id,
      kind: 'committed',
      name: same?.name ?? `on-demand/${id}/${target}`,
      ...(parent && { parent: parent.id }),
      labels: same?.labels ?? labels,
      created: same?.created ?? now,
      updated: now,
      usage: { size: 0, inodes: 0 },
      onDemand,
    });
    this.#options.onEvent?.({ event: 'on demand', image, layer: target, ...onDemand });
    return true;
  }

  async #unmountUnused(): Promise<void> {
    const all = this.#store.all();
    const wanted = new Set(all.flatMap(({ onDemand }) => (onDemand ? [onDemand.variant] : [])));
    await this.#options.images.unmountOthers(wanted);
  }

  #report(event: string, details: object = {}): (error: unknown) => void {
    return (error) => this.#options.onEvent?.({ event, ...details, reason: String(error) });
  }
}

function wrongKind({ name, kind }: Snapshot, action: string): ContainerdError {
  return new ContainerdError(
    'CONTAINERD_IN_USE',
    `Cannot ${action} the snapshot ${name}: it is ${kind}`,
  );
}

function nameless(action: string): ContainerdError {
  return new ContainerdError(
    'CONTAINERD_BAD_REQUEST',
    `Cannot ${action} a snapshot without a name`,
  );
}
