import type { Stale } from '@anole/fuse';
import type { TreeNode } from '@anole/vfs';
import type { FileEvent } from '../../files/messages.ts';
import type { Mounted, Place } from './namespace.ts';

/** What a call changed: told to the guest, and to who watches. */
export class Changes {
  readonly stale: Stale[] = [];
  readonly events: FileEvent[] = [];
  readonly #touched: { readonly parent: Place; readonly names: Set<string> }[] = [];

  /** A name of a directory is not what it was. */
  name(parent: Place, name: string, event?: FileEvent): void {
    const known = this.#touched.find(({ parent: { node } }) => node === parent.node);
    if (known !== undefined) known.names.add(name);
    else this.#touched.push({ parent, names: new Set([name]) });
    if (event !== undefined) this.events.push(event);
  }

  /** Finds out what the guest holds of it. */
  settle(): void {
    for (const { parent, names } of this.#touched.splice(0)) {
      const { mount, node } = parent;
      // A volume's guest asks again within a second, since others change it too.
      if (mount.path !== '/') continue;
      const stale = mount.server.changed(node.stat.ino, [...names]);
      if (stale !== undefined && isSayable(stale)) this.stale.push(stale);
      else if (stale !== undefined) mount.server.dropped(stale);
    }
  }
}

/** The agent's paths are Unicode; names that are not come as lone surrogates. */
function isSayable({ path, present, absent }: Stale): boolean {
  return [...path, ...present, ...absent].every((name) => name.isWellFormed());
}

/** Says that a node which was looked up is not used any more. */
export function done({ server }: Mounted, node: TreeNode | undefined): void {
  if (node !== undefined) server.release(node);
}
