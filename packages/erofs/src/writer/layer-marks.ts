import { type Awaitable, chain } from '@anole/bytes';
import { type DirectoryEntry, isWhiteout, markerOf, OPAQUE, type TreeNode } from '@anole/vfs';
import { cannotStore } from './cannot-store.ts';

/** Which marks of a layer, that speak of layers below it, are stored, and how. */
export interface MarkOptions {
  /** Whether those of aufs, `.wh.NAME` and `.wh..wh..opq`, become those of overlayfs. */
  readonly fromAufs?: boolean;
  /** Whether none are stored: neither whiteouts of overlayfs nor its attributes. */
  readonly strip?: boolean;
}

type List = (directory: TreeNode) => Awaitable<readonly DirectoryEntry[]>;
type Attributes = ReadonlyMap<string, Uint8Array>;

const OPAQUE_ATTRIBUTE = 'trusted.overlay.opaque';
const YES = Uint8Array.of(0x79);
const OVERLAY = /^(?:trusted|user)\.overlay\./;
const none: Attributes = new Map();

/** Gives what a tree lists with other marks, or without any. */
export class LayerMarks {
  readonly #options: MarkOptions;
  readonly #list: List;
  /** Directories that a mark beside them hides lower ones of. */
  readonly #opaque = new WeakSet<TreeNode>();

  constructor(options: MarkOptions, list: List) {
    this.#options = options;
    this.#list = list;
  }

  async list(directory: TreeNode): Promise<readonly DirectoryEntry[]> {
    const { fromAufs = false, strip = false } = this.#options;
    const listed = await this.#list(directory);
    const entries = fromAufs ? await this.#converted(directory, listed) : listed;
    if (!strip) return entries;
    const kept = await Promise.all(
      entries.map(async (entry) => {
        const node = entry.type === 'character' && (await nodeOf(directory, entry));
        return !(node && isWhiteout('overlayfs', node));
      }),
    );
    return entries.filter((_, index) => kept[index]);
  }

  xattrs(node: TreeNode, found: Attributes = none): Awaitable<Attributes> {
    const { fromAufs = false, strip = false } = this.#options;
    if (strip) return new Map([...found].filter(([name]) => !OVERLAY.test(name)));
    if (!fromAufs || node.stat.type !== 'directory') return found;
    const opaque = this.#opaque.has(node) || node.lookup(OPAQUE);
    return chain(opaque, (mark) => (mark ? new Map([...found, [OPAQUE_ATTRIBUTE, YES]]) : found));
  }

  async #converted(
    directory: TreeNode,
    listed: readonly DirectoryEntry[],
  ): Promise<readonly DirectoryEntry[]> {
    const entries = new Map(listed.map((entry) => [entry.name, entry]));
    for (const entry of listed) {
      const marker = markerOf(entry.name);
      if (marker === undefined) continue;
      entries.delete(entry.name);
      if (marker.kind !== 'removed') continue;
      const { name } = marker;
      if (name === '' || name === '.' || name === '..') {
        throw cannotStore(entry.name, 'it marks nothing that can have a name');
      }
      const beside = entries.get(name);
      // What this layer brings itself stays, and hides what is below.
      if (beside === undefined) entries.set(name, whiteout(name, directory));
      else if (beside.type === 'directory') {
        const node = await nodeOf(directory, beside);
        if (node) {
          this.#opaque.add(node);
          entries.set(name, { ...beside, node });
        }
      }
    }
    return [...entries.values()];
  }
}

function nodeOf(directory: TreeNode, { node, name }: DirectoryEntry) {
  return node ?? directory.lookup(name);
}

/** A character device 0:0, as old as the directory it is in. */
function whiteout(name: string, { stat: { mtime, uid, gid } }: TreeNode): DirectoryEntry {
  const rdev = { major: 0, minor: 0 };
  const stat = { ino: 0, type: 'character', mode: 0, uid, gid, size: 0, nlink: 1, mtime, rdev };
  // Nothing else is asked of a device.
  const node = { stat, xattrs: () => none } as unknown as TreeNode;
  // No number of a file: marks are often links of one file, and become one inode each.
  return { name, type: 'character', ino: 0, node };
}
