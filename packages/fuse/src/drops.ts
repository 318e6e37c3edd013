import type { KnownNode, NodeTable } from './nodes.ts';
import type { Request } from './request.ts';

/** What a kernel was told of a directory that was then changed behind its back. */
export interface Stale {
  /** Of the directory, within the tree. */
  readonly ino: number;
  /** Names from the root to the directory, as the kernel knows them. */
  readonly path: readonly string[];
  /** Names in it of which the kernel was told that they are there. */
  readonly present: readonly string[];
  /** Names of which it was told that they are not. */
  readonly absent: readonly string[];
}

/**
 * Names and attributes that the kernel holds for good and that somebody on this side changed. A
 * virtio-fs device cannot tell the kernel (Linux 6.12 has no notification queue), but a process of the
 * guest can: once the kernel made or removed a name itself, it asks for it again. So the
 * keeper, a process of the guest that does nothing else there, removes each name that was present,
 * makes a directory of each that was absent, and sets the times of the directory that they are in. From the keeper, and as long as a name is
 * stale, these requests are answered without doing anything.
 * See docs/decisions/0064-files-from-the-host.md.
 */
export class Drops {
  readonly #nodes: NodeTable;
  readonly #keeper: number;
  /** By directory: how many drops of each name are under way. The empty name is the directory itself. */
  readonly #pending = new Map<number, Map<string, number>>();

  /** @param keeper process id of the keeper, as requests give it */
  constructor(nodes: NodeTable, keeper: number) {
    this.#nodes = nodes;
    this.#keeper = keeper;
  }

  /** Notes that names of a directory changed. Undefined: the kernel was told nothing of it. */
  begin(ino: number, names: readonly string[]): Stale | undefined {
    const known = this.#nodes.byIno(ino);
    const path = known && this.#nodes.pathOf(known);
    if (known === undefined || path === undefined) return undefined;
    const present = names.filter((name) => (known.told?.get(name) ?? 0) > 0);
    const absent = names.filter((name) => known.told?.get(name) === 0);
    for (const name of ['', ...present, ...absent]) this.#count(ino, name, 1);
    return { ino, path, present, absent };
  }

  /** The keeper did what it could. */
  end({ ino, present, absent }: Stale): void {
    for (const name of ['', ...present, ...absent]) this.#count(ino, name, -1);
  }

  /** Whether a request is the keeper's, about a stale name ('': the directory itself). */
  covers(request: Request, { ino }: KnownNode, name: string): boolean {
    const pending = this.#pending.get(ino);
    return pending?.has(name) === true && request.pid === this.#keeper;
  }

  /** For a copy of the kernel, whose keeper may be in the middle of it. */
  save(): readonly Stale[] {
    return [...this.#pending].map(([ino, names]) => ({
      ino,
      path: [],
      present: [...names.keys()].filter((name) => name !== ''),
      absent: [],
    }));
  }

  /** Nobody will say that these are done: the requests they are about stay without effect. */
  restore(saved: readonly Stale[]): void {
    for (const { ino, present } of saved) {
      for (const name of ['', ...present]) this.#count(ino, name, 1);
    }
  }

  #count(ino: number, name: string, by: number): void {
    const names = this.#pending.get(ino) ?? new Map<string, number>();
    this.#pending.set(ino, names);
    const count = (names.get(name) ?? 0) + by;
    if (count > 0) names.set(name, count);
    else names.delete(name);
    if (names.size === 0) this.#pending.delete(ino);
  }
}
