import { type Awaitable, type Flow, flow, wait } from '@anole/bytes';
import { VfsError } from './errors.ts';
import { compareNames } from './paths.ts';
import type { DirectoryEntry, Extent, Stat, Tree, TreeNode } from './tree.ts';
import { hides, isMarker, isOpaque, isWhiteout, type Whiteouts } from './whiteouts.ts';

export interface OverlayOptions {
  /** How layers remove what is below them. Default `none`: they only add and replace. */
  readonly whiteouts?: Whiteouts;
}

/**
 * Several trees seen as one, to read. Of a name, the highest layer that has it counts; directories
 * are merged, with the attributes of the highest. Closing it closes the layers.
 *
 * Inode numbers are those of the layers, told apart by the layer; a directory has that of its
 * highest layer. Answers are synchronous where those of the layers are.
 *
 * @param layers the lowest first, at least one
 * @throws VfsError `VFS_INVALID` without layers.
 * @example
 * const tree = overlay([base, packages, settings]);
 */
export function overlay(layers: readonly Tree[], options: OverlayOptions = {}): Tree {
  if (layers.length === 0) throw new VfsError('VFS_INVALID', 'Cannot stack trees: there are none');
  const stack = new Stack(options.whiteouts ?? 'none', layers.length);
  const roots = layers.map((layer, index) => ({ node: layer.root, index })).reverse();
  return {
    root: new OverlayNode(stack, roots),
    async close() {
      for (const layer of layers) await layer.close?.();
    },
  };
}

/** A node of one layer. */
interface Part {
  readonly node: TreeNode;
  readonly index: number;
}

class Stack {
  readonly whiteouts: Whiteouts;
  private readonly layers: number;
  private readonly large = new Map<string, number>();

  constructor(whiteouts: Whiteouts, layers: number) {
    this.whiteouts = whiteouts;
    this.layers = layers;
  }

  ino(ino: number, index: number): number {
    const combined = ino * this.layers + index;
    if (combined < LARGE) return combined;
    const key = `${index}:${ino}`;
    const known = this.large.get(key) ?? LARGE + this.large.size;
    this.large.set(key, known);
    return known;
  }
}

/** From here on, numbers are given to inodes whose own is too large to be combined. */
const LARGE = 2 ** 52;

class OverlayNode implements TreeNode {
  readonly stat: Stat;
  extents?: () => Awaitable<readonly Extent[]>;
  private readonly stack: Stack;
  /** Of a directory those that are merged, the highest first; else the one node. */
  private readonly parts: readonly Part[];
  readonly origin: TreeNode;
  private opaque: Awaitable<readonly Part[]> | undefined;

  constructor(stack: Stack, parts: readonly Part[]) {
    const { node, index } = parts[0]!;
    this.stack = stack;
    this.parts = parts;
    this.origin = node;
    this.stat = { ...node.stat, ino: stack.ino(node.stat.ino, index) };
    if (node.extents) this.extents = () => node.extents!();
  }

  lookup(name: string): Awaitable<OverlayNode | undefined> {
    if (this.stat.type !== 'directory') return notDirectory();
    return flow(() => this.find(name));
  }

  list(): Awaitable<readonly DirectoryEntry[]> {
    if (this.stat.type !== 'directory') return notDirectory();
    return flow(() => this.entries());
  }

  readLink(): Awaitable<string> {
    return this.origin.readLink();
  }

  read(offset: number, length: number): Awaitable<Uint8Array> {
    return this.origin.read(offset, length);
  }

  xattrs(): Awaitable<ReadonlyMap<string, Uint8Array>> {
    return this.origin.xattrs();
  }

  /** The parts down to the first that is opaque. */
  private *visible(): Flow<readonly Part[]> {
    if (this.stack.whiteouts === 'none' || this.parts.length === 1) return this.parts;
    this.opaque ??= flow(() => this.untilOpaque());
    return yield* wait(this.opaque);
  }

  private *untilOpaque(): Flow<readonly Part[]> {
    for (let at = 0; at < this.parts.length; at++) {
      if (yield* isOpaque(this.stack.whiteouts, this.parts[at]!.node))
        return this.parts.slice(0, at + 1);
    }
    return this.parts;
  }

  private *find(name: string): Flow<OverlayNode | undefined> {
    const { whiteouts } = this.stack;
    if (isMarker(whiteouts, name)) return undefined;
    const found: Part[] = [];
    for (const { node: directory, index } of yield* this.visible()) {
      const node = yield* wait(directory.lookup(name));
      if (node !== undefined) {
        if (isWhiteout(whiteouts, node)) break;
        const isDirectory = node.stat.type === 'directory';
        if (isDirectory || found.length === 0) found.push({ node, index });
        if (!isDirectory) break;
      }
      if (yield* hides(whiteouts, directory, name)) break;
    }
    return found.length === 0 ? undefined : new OverlayNode(this.stack, found);
  }

  private *entries(): Flow<readonly DirectoryEntry[]> {
    const parts = yield* this.visible();
    const names = new Map<string, DirectoryEntry>();
    for (const { node, index } of parts) {
      for (const { name, type, ino } of yield* wait(node.list())) {
        if (names.has(name)) continue;
        names.set(name, { name, type, ino: this.stack.ino(ino, index) });
      }
    }
    const entries: DirectoryEntry[] = [];
    for (const entry of names.values()) {
      if (yield* this.isShown(entry)) entries.push(entry);
    }
    return entries.sort((a, b) => compareNames(a.name, b.name));
  }

  private *isShown({ name, type }: DirectoryEntry): Flow<boolean> {
    const { whiteouts } = this.stack;
    if (whiteouts === 'none') return true;
    if (isMarker(whiteouts, name)) return false;
    // Markers may hide it; only the layers together know.
    if (whiteouts === 'overlayfs' && type !== 'character') return true;
    return (yield* this.find(name)) !== undefined;
  }
}

function notDirectory(): never {
  throw new VfsError('VFS_NOT_DIRECTORY', 'Cannot look into the node: it is no directory');
}
