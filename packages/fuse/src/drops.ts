import type { KnownNode, NodeTable } from './nodes.ts';
import type { Request } from './request.ts';

/** What a kernel was told of a directory that was then changed behind its back. */
export interface Stale {
  /** Of the directory, within the tree. */
  readonly ino: number;
  /** Names from the root to the directory, as the kernel knows them. */
  readonly path: readonly string[];
  /** Names in it of which the kernel was told that they are there, or that they are not. */
  readonly names: readonly string[];
}

/**
 * Names and attributes that the kernel holds for good and that somebody on this side changed. A
 * virtio-fs device cannot tell the kernel (Linux 6.12 has no notification queue), but a process of the
 * guest can: once the kernel made or removed a name itself, it asks for it again. So for each stale
 * name the keeper, a process of the guest that we trust to do nothing else, makes a directory and
 * removes the name, and sets the times of the directory. From the keeper, and as long as a name is
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
    const told = names.filter((name) => known.told?.has(name));
    for (const name of ['', ...told]) this.#count(ino, name, 1);
    return { ino, path, names: told };
  }

  /** The keeper did what it could. */
  end({ ino, names }: Stale): void {
    for (const name of ['', ...names]) this.#count(ino, name, -1);
  }

  /** Whether a request is the keeper's, about a stale name ('': the directory itself). */
  covers(request: Request, { ino }: KnownNode, name: string): boolean {
    const pending = this.#pending.get(ino);
    return pending?.has(name) === true && request.pid === this.#keeper;
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
