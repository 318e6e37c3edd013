import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hostError, systemCode, writeFileAtomically } from '@anole/host';
import { ContainerdError } from '../errors.ts';
import { readSnapshot } from './read-snapshot.ts';
import type { Snapshot } from './snapshot.ts';

const NOTE = 'snapshot.json';

/**
 * Snapshots of a directory:
 *
 * - `snapshots/ID/snapshot.json` says what it is; `fs` has its files, `work` is overlayfs's
 * - `removed/` has what is being deleted
 *
 * A snapshot is there when its note is, which appears whole or not at all; it is removed by renaming its
 * directory. So a process that ends at any moment leaves nothing that must be repaired: what has no note
 * is deleted by the next one. One process at a time.
 */
export class SnapshotStore {
  readonly directory: string;
  readonly #byName = new Map<string, Snapshot>();
  readonly #byId = new Map<string, Snapshot>();
  #lastId = 0;
  #deleting: Promise<unknown> = Promise.resolve();

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** @throws HostError; ContainerdError `CONTAINERD_BAD_MESSAGE` where a note is none */
  static async open(directory: string): Promise<SnapshotStore> {
    const store = new SnapshotStore(directory);
    await mkdir(join(directory, 'snapshots'), { recursive: true, mode: 0o700 });
    await mkdir(join(directory, 'removed'), { recursive: true, mode: 0o700 });
    const ids = await readdir(join(directory, 'snapshots'));
    const removed = await readdir(join(directory, 'removed'));
    for (const id of [...ids, ...removed]) store.#lastId = Math.max(store.#lastId, numberOf(id));
    for (const id of ids) await store.#load(id);
    store.#deleteRemoved();
    return store;
  }

  get(name: string): Snapshot | undefined {
    return this.#byName.get(name);
  }

  /** @throws ContainerdError `CONTAINERD_NOT_FOUND` */
  find(name: string): Snapshot {
    const found = this.#byName.get(name);
    if (found) return found;
    throw new ContainerdError('CONTAINERD_NOT_FOUND', `Cannot find the snapshot ${name}`);
  }

  parentOf({ parent }: Snapshot): Snapshot | undefined {
    return parent === undefined ? undefined : this.#byId.get(parent);
  }

  childrenOf({ id }: Snapshot): readonly Snapshot[] {
    return this.all().filter(({ parent }) => parent === id);
  }

  all(): readonly Snapshot[] {
    return [...this.#byName.values()];
  }

  /** A file or directory of a snapshot. */
  at({ id }: Pick<Snapshot, 'id'>, ...names: readonly string[]): string {
    return join(this.directory, 'snapshots', id, ...names);
  }

  /** An id for a snapshot to come, whose directory is there. */
  async reserve(): Promise<string> {
    const id = String(++this.#lastId);
    await mkdir(this.at({ id }), { mode: 0o700 });
    return id;
  }

  /**
   * Notes a snapshot, instead of what its id stood for.
   *
   * @throws ContainerdError `CONTAINERD_EXISTS` where another has its name
   */
  async put(snapshot: Snapshot): Promise<void> {
    const other = this.#byName.get(snapshot.name);
    if (other && other.id !== snapshot.id) throw exists(snapshot.name);
    const before = this.#byId.get(snapshot.id);
    this.#forget(before);
    // The name is taken from now on: the note is written without looking again.
    this.#remember(snapshot);
    try {
      const text = `${JSON.stringify(snapshot)}\n`;
      await writeFileAtomically(this.at(snapshot, NOTE), text, { durable: true });
    } catch (error) {
      this.#forget(snapshot);
      if (before) this.#remember(before);
      throw error;
    }
  }

  /** Removes a snapshot. Its files are deleted in the background. @throws HostError */
  async remove(snapshot: Snapshot): Promise<void> {
    try {
      await rename(this.at(snapshot), join(this.directory, 'removed', snapshot.id));
    } catch (error) {
      throw hostError(error, `remove the snapshot ${snapshot.name}`);
    }
    this.#forget(snapshot);
    this.#deleteRemoved();
  }

  /** Takes back an id that {@link reserve} gave. */
  async giveBack(id: string): Promise<void> {
    await rm(this.at({ id }), { recursive: true, force: true });
  }

  /** Until what was removed has been deleted. @throws HostError */
  async settle(): Promise<void> {
    this.#deleteRemoved();
    const problem = await this.#deleting;
    if (problem) throw hostError(problem, 'delete removed snapshots');
  }

  #remember(snapshot: Snapshot): void {
    this.#byName.set(snapshot.name, snapshot);
    this.#byId.set(snapshot.id, snapshot);
  }

  #forget(snapshot: Snapshot | undefined): void {
    if (snapshot === undefined) return;
    this.#byName.delete(snapshot.name);
    this.#byId.delete(snapshot.id);
  }

  async #load(id: string): Promise<void> {
    let text: string;
    try {
      text = await readFile(this.at({ id }, NOTE), 'utf8');
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw hostError(error, `read ${this.at({ id }, NOTE)}`);
      await rename(this.at({ id }), join(this.directory, 'removed', id));
      return;
    }
    this.#remember(readSnapshot(text, id));
  }

  #deleteRemoved(): void {
    const removed = join(this.directory, 'removed');
    this.#deleting = this.#deleting.then(async () => {
      try {
        for (const id of await readdir(removed)) {
          await rm(join(removed, id), { recursive: true, force: true });
        }
        return undefined;
      } catch (error) {
        return error;
      }
    });
  }
}

function numberOf(id: string): number {
  return /^\d{1,15}$/.test(id) ? Number(id) : 0;
}

export function exists(name: string): ContainerdError {
  return new ContainerdError('CONTAINERD_EXISTS', `Cannot make the snapshot ${name}: it is there`);
}
