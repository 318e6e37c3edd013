import { type Awaitable, chain, type Source } from '@anole/bytes';
import type { MemoryNode } from '../memory-node.ts';
import { MemoryTree } from '../memory-tree.ts';
import { isName } from '../names.ts';
import { markerOf } from '../whiteouts.ts';
import type { TarMember } from './entry.ts';
import { atMember, TarError } from './errors.ts';
import { eachMember, entryPutter, memberPutter, type UnpackTarOptions } from './unpack.ts';

export interface LayerOptions extends Omit<UnpackTarOptions, 'directories'> {
  /** Members that one layer may have: each takes memory. Default 4,000,000. */
  readonly maxEntries?: number;
}

const DEFAULT_MAX_ENTRIES = 4_000_000;

/**
 * Applies an OCI layer, decompressed, to the tree of the layers below it (OCI image-spec, layer.md).
 *
 * Whiteouts and opaque directories remove what lower layers have, never what this layer brings,
 * whichever comes first in the archive. Whatever but a directory over a directory, or the other way
 * round, replaces what is there; a directory over a directory changes its attributes. A hard link
 * may lead to a file of a lower layer: both are then names of one node.
 *
 * @throws TarError (`TAR_BAD_NAME` for a whiteout that names nothing, `TAR_TOO_LARGE` for too many
 * members), VfsError, in `details.position` the byte at which the member begins. What came before the error
 * stays in the tree.
 */
export async function applyLayer(
  tree: MemoryTree,
  layer: AsyncIterable<Uint8Array> | Source,
  options: LayerOptions = {},
): Promise<void> {
  const application = new Application(tree, options.maxEntries);
  const put = entryPutter(tree, layer, options);
  await eachMember(layer, options, (entry) => application.apply(entry, put));
}

/**
 * As {@link applyLayer}, of a layer whose table of contents is known: nothing is read.
 *
 * @param store gives the Source of a file's stored bytes, of `storedSize` bytes
 */
export function applyMembers(
  tree: MemoryTree,
  members: Iterable<TarMember>,
  store: (member: TarMember) => Source,
): void {
  const application = new Application(tree);
  const put = memberPutter(tree, store);
  for (const member of members) {
    try {
      application.apply(member, put);
    } catch (error) {
      throw atMember(error, member.headerOffset);
    }
  }
}

/**
 * The tree of a stack of OCI layers, decompressed, the lowest first. Layers are taken one after
 * another. Of Sources, contents stay where they are: they must stay open.
 *
 * @throws TarError, VfsError as {@link applyLayer}
 * @example
 * const tree = await treeFromLayers([base, packages, settings]);
 */
export async function treeFromLayers(
  layers:
    | Iterable<AsyncIterable<Uint8Array> | Source>
    | AsyncIterable<AsyncIterable<Uint8Array> | Source>,
  options: LayerOptions = {},
): Promise<MemoryTree> {
  const tree = new MemoryTree();
  for await (const layer of layers) await applyLayer(tree, layer, options);
  return tree;
}

/** One layer on its way into the tree. */
class Application {
  private readonly tree: MemoryTree;
  /** Names that this layer has put into directories, and those on the way to them. */
  private readonly own = new Map<MemoryNode, Set<string>>();
  /**
   * Those of the directory of the member before: the next is mostly there, too. Forgotten where a
   * member replaces something: that may be a link on the way to its own directory.
   */
  private last: { readonly parent: string; readonly names: Set<string> } | undefined;

  private readonly limit: number;
  private count = 0;

  constructor(tree: MemoryTree, limit = DEFAULT_MAX_ENTRIES) {
    this.tree = tree;
    this.limit = limit;
  }

  apply<M extends TarMember>(
    member: M,
    put: (member: M) => Awaitable<MemoryNode>,
  ): Awaitable<void> {
    if (++this.count > this.limit) throw tooMany(this.limit);
    if (this.mark(member)) {
      this.last = undefined;
      return;
    }
    this.makeRoom(member);
    return chain(put(member), () => this.brought(member));
  }

  /** Obeys a whiteout. False where the entry is none. */
  private mark(entry: TarMember): boolean {
    const { parent, name } = split(entry.path);
    if (parent.includes(MARKER_PART) && isBelowMarker(parent, entry)) return true;
    const marker = markerOf(name);
    if (marker === undefined) return false;
    if (marker.kind === 'opaque') this.clear(parent);
    else if (marker.kind === 'removed') {
      if (!isName(marker.name)) throw badWhiteout(entry);
      this.hide(parent, marker.name);
    }
    return true;
  }

  /** Removes what a member cannot be put over. */
  private makeRoom({ path, type }: TarMember): void {
    if (path === '') return;
    const there = this.tree.find(path, { followSymlinks: false });
    if (there === undefined) return;
    const [is, becomes] = [there.type === 'directory', type === 'directory'];
    if (is && becomes) return;
    this.last = undefined;
    if (is !== becomes) {
      this.tree.remove(path, { recursive: true });
    }
  }

  /** Remembers that a member has been put, and the way to it. */
  private brought({ path }: TarMember): void {
    const { parent, name } = split(path);
    if (this.last?.parent === parent && name !== '') {
      this.last.names.add(name);
      return;
    }
    this.last = undefined;
    for (let rest = path; rest !== ''; ) {
      const { parent, name } = split(rest);
      const directory = this.tree.find(parent);
      if (directory === undefined) return;
      const known = this.own.get(directory);
      // And so is the way to it.
      if (known?.has(name)) return;
      const names = known ?? new Set();
      names.add(name);
      if (!known) this.own.set(directory, names);
      this.last ??= { parent, names };
      rest = parent;
    }
  }

  private hide(parent: string, name: string): void {
    const directory = this.tree.find(parent);
    const node = directory?.children?.get(name);
    if (directory === undefined || node === undefined) return;
    const path = join(parent, name);
    if (!this.own.get(directory)?.has(name)) this.tree.remove(path, { recursive: true });
    else if (node.children !== undefined) this.clear(path);
  }

  /** Takes what is not of this layer out of a directory, and of the directories in it. */
  private clear(path: string): void {
    const todo = [path];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const directory = this.tree.find(next);
      if (directory?.children === undefined) continue;
      const own = this.own.get(directory);
      for (const [name, child] of [...directory.children]) {
        const below = join(next, name);
        if (!own?.has(name)) this.tree.remove(below, { recursive: true });
        else if (child.children !== undefined) todo.push(below);
      }
    }
  }
}

const MARKER_PART = '.wh.';

/** True below what means nothing. @throws TarError for a member in a whiteout */
function isBelowMarker(parent: string, entry: TarMember): boolean {
  const markers = parent.split('/').map(markerOf);
  if (markers.some((marker) => marker !== undefined && marker.kind !== 'ignored')) {
    throw badWhiteout(entry);
  }
  return markers.some((marker) => marker !== undefined);
}

function join(parent: string, name: string): string {
  return parent === '' ? name : `${parent}/${name}`;
}

function split(path: string): { readonly parent: string; readonly name: string } {
  const slash = path.lastIndexOf('/');
  return { parent: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1) };
}

function badWhiteout({ name }: TarMember): TarError {
  return new TarError(
    'TAR_BAD_NAME',
    `Cannot take the tar member ${JSON.stringify(name.slice(0, 200))}: it is, or is in, a whiteout of nothing that can have a name`,
    { hint: 'The layer is damaged or hostile; do not use it.' },
  );
}

function tooMany(limit: number): TarError {
  return new TarError('TAR_TOO_LARGE', `Cannot take the layer: it has over ${limit} members`, {
    details: { limit },
  });
}
