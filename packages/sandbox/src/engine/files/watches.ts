import type { TreeChange } from '@anole/fuse';
import type { FileEvent } from '../../files/messages.ts';
import type { Mounted, Namespace } from './namespace.ts';

/** Events kept for one turn; more are told as an overflow. */
const MAX_EVENTS = 4096;
/** Time for which events are gathered, ms. */
const GATHER = 10;

interface Watch {
  readonly path: string;
  readonly recursive: boolean;
}

/** Tells who watches what changes, by the guest or by the host, gathered for a moment. */
export class Watches {
  readonly #names: Namespace;
  readonly #tell: (watch: number, events: readonly FileEvent[]) => void;
  readonly #watches = new Map<number, Watch>();
  #events: FileEvent[] = [];
  #next = 1;

  constructor(names: Namespace, tell: (watch: number, events: readonly FileEvent[]) => void) {
    this.#names = names;
    this.#tell = tell;
  }

  /** @param path absolute, without symbolic links */
  add(path: string, recursive: boolean): number {
    if (this.#watches.size === 0) {
      for (const mount of this.#names.all)
        mount.server.observe((change) => this.#saw(mount, change));
    }
    this.#watches.set(this.#next, { path, recursive });
    return this.#next++;
  }

  remove(watch: number): void {
    this.#watches.delete(watch);
    if (this.#watches.size > 0) return;
    for (const mount of this.#names.all) mount.server.observe(undefined);
  }

  note(event: FileEvent): void {
    if (this.#watches.size === 0) return;
    if (this.#events.length === 0) setTimeout(() => this.#flush(), GATHER);
    if (this.#events.length > MAX_EVENTS || same(this.#events.at(-1), event)) return;
    this.#events.push(event);
  }

  #saw({ path: at }: Mounted, { kind, path, from }: TreeChange): void {
    const above = at === '/' ? '' : at;
    const absolute = (names: readonly string[]) => [above, ...names].join('/') || '/';
    this.note({ kind, path: absolute(path), ...(from && { from: absolute(from) }) });
  }

  #flush(): void {
    const events = this.#events;
    this.#events = [];
    const lost = events.length > MAX_EVENTS;
    for (const [id, watch] of this.#watches) {
      const seen = events.filter(
        ({ path, from }) => covers(watch, path) || (from !== undefined && covers(watch, from)),
      );
      if (lost) seen.push({ kind: 'overflow', path: watch.path });
      if (seen.length > 0) this.#tell(id, seen);
    }
  }
}

/** Writes come page by page. */
function same(a: FileEvent | undefined, b: FileEvent): boolean {
  return a !== undefined && a.kind === b.kind && a.path === b.path && a.kind !== 'rename';
}

function covers({ path: watched, recursive }: Watch, path: string): boolean {
  if (path === watched) return true;
  const above = watched === '/' ? '/' : `${watched}/`;
  if (!path.startsWith(above)) return false;
  return recursive || !path.slice(above.length).includes('/');
}
