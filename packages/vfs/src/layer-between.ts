import type { ReadOptions } from '@anole/bytes';
import { isSameNode } from './compare.ts';
import { nodeContent } from './copy.ts';
import { VfsError } from './errors.ts';
import { MemoryTree } from './memory-tree.ts';
import { isName } from './names.ts';
import { pause } from './pause.ts';
import type { Tree, TreeNode } from './tree.ts';
import { sortedEntries } from './walk.ts';
import { OPAQUE, PREFIX } from './whiteouts.ts';

export interface LayerBetweenOptions extends ReadOptions {
  /** Paths for which it is false are left as they are below; directories with all that is in them. */
  filter?(path: string): boolean;
  /**
   * What is known without looking: true where the node is the lower one and nothing of it has changed,
   * names in it aside; false where it is another one, though it looks the same.
   */
  isSame?(lower: TreeNode, upper: TreeNode): boolean | undefined;
  /** Told of each node of `upper` that is not needed any more. */
  onDone?(node: TreeNode): void;
}

/** Names between two turns of the event loop. */
const PAUSE_EVERY = 1024;

/**
 * What has to be put upon `lower` to make it `upper`, as the tree of an OCI layer (image-spec,
 * layer.md): what is new or changed, with the directories on the way, whiteouts for what is gone, and
 * opaque directories where another one took the place of the one below. Contents are not read: they stay
 * in `upper`. What root itself is does not count.
 *
 * @throws VfsError `VFS_INVALID` for names that OCI layers cannot have: those of whiteouts
 */
export async function layerBetween(
  lower: Tree,
  upper: Tree,
  options: LayerBetweenOptions = {},
): Promise<MemoryTree> {
  const layer = new Layer(options);
  await layer.directory('', lower.root, upper.root);
  await layer.joinLinks();
  return layer.tree;
}

interface Step {
  readonly path: string;
  readonly node: TreeNode;
}

interface Links {
  readonly names: { readonly path: string; readonly way: readonly Step[] }[];
  first?: string;
}

class Layer {
  readonly tree = new MemoryTree();
  private readonly options: LayerBetweenOptions;
  /** Directories on the way to where the work is, by their paths. */
  private way: readonly Step[] = [];
  /** Names of nodes that have several, and which one is in the layer. */
  private readonly links = new Map<number, Links>();
  private done = 0;

  constructor(options: LayerBetweenOptions) {
    this.options = options;
  }

  /** @param lower undefined for a directory that nothing of is below */
  async directory(path: string, lower: TreeNode | undefined, upper: TreeNode): Promise<void> {
    const outer = this.way;
    this.way = [...outer, { path, node: upper }];
    const prefix = path === '' ? '' : `${path}/`;
    const below = lower ? await sortedEntries(lower) : [];
    const gone = new Set(below.map(({ name }) => name));
    for (const { name } of await sortedEntries(upper)) {
      gone.delete(name);
      const wasThere = lower && (await lower.lookup(name));
      const node = await upper.lookup(name);
      if (node) await this.node(prefix + name, name, wasThere, node);
    }
    for (const name of gone) {
      if (this.isWanted(prefix + name)) await this.mark(prefix + PREFIX + name);
    }
    this.way = outer;
  }

  /** A name that belongs to a node in the layer belongs there too, whatever it was below. */
  async joinLinks(): Promise<void> {
    for (const { names, first } of this.links.values()) {
      if (first === undefined) continue;
      for (const { path, way } of names) {
        if (path === first) continue;
        await this.putWay(way);
        this.tree.putLink(path, first);
      }
    }
  }

  private async node(
    path: string,
    name: string,
    lower: TreeNode | undefined,
    upper: TreeNode,
  ): Promise<void> {
    if (++this.done % PAUSE_EVERY === 0) await pause();
    this.options.signal?.throwIfAborted();
    if (!this.isWanted(path)) return;
    if (!isName(name) || name.startsWith(PREFIX)) throw badName(path);
    const known = lower && this.options.isSame?.(lower, upper);
    const isDirectory = upper.stat.type === 'directory';
    if (isDirectory && lower?.stat.type === 'directory' && known !== false) {
      if (!(known ?? (await isSameNode(lower, upper)))) await this.put(path, upper);
      await this.directory(path, lower, upper);
    } else if (isDirectory) {
      await this.put(path, upper);
      if (lower?.stat.type === 'directory') await this.mark(`${path}/${OPAQUE}`);
      await this.directory(path, undefined, upper);
    } else {
      const link = this.linkOf(path, upper);
      const isSame = lower && (known ?? (await isSameNode(lower, upper)));
      if (!isSame && link?.first === undefined) {
        await this.put(path, upper);
        if (link) link.first = path;
        return;
      }
    }
    this.options.onDone?.(upper);
  }

  private linkOf(path: string, { stat }: TreeNode): Links | undefined {
    if (stat.nlink < 2) return undefined;
    const link: Links = this.links.get(stat.ino) ?? { names: [] };
    this.links.set(stat.ino, link);
    link.names.push({ path, way: this.way });
    return link;
  }

  private isWanted(path: string): boolean {
    return this.options.filter?.(path) ?? true;
  }

  private async mark(path: string): Promise<void> {
    await this.putWay();
    this.tree.putFile(path, new Uint8Array(0));
  }

  private async put(path: string, node: TreeNode): Promise<void> {
    await this.putWay();
    const { type, mode, uid, gid, mtime, rdev } = node.stat;
    const xattrs = await node.xattrs();
    const attributes = { mode, uid, gid, mtime, xattrs, ...(rdev && { rdev }) };
    if (type === 'directory') this.tree.putDirectory(path, attributes);
    else if (type === 'file') this.tree.putFile(path, await nodeContent(node), attributes);
    else if (type === 'symlink') this.tree.putSymlink(path, await node.readLink(), attributes);
    else if (type !== 'socket') this.tree.putSpecial(path, type, attributes);
  }

  /** The directories that lead there, as they are. */
  private async putWay(way = this.way): Promise<void> {
    for (const { path, node } of way.slice(1)) {
      if (this.tree.find(path) !== undefined) continue;
      const { mode, uid, gid, mtime } = node.stat;
      this.tree.putDirectory(path, { mode, uid, gid, mtime, xattrs: await node.xattrs() });
    }
  }
}

function badName(path: string): VfsError {
  return new VfsError(
    'VFS_INVALID',
    `Cannot put ${JSON.stringify(path.slice(0, 300))} into a layer`,
    {
      hint: 'Names that begin with .wh. mean that something is gone.',
    },
  );
}
