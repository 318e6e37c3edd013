import type { FuseServer } from '@anole/fuse';
import {
  isWritable,
  MAX_LINKS,
  type Tree,
  type TreeNode,
  tooManyLinks,
  VfsError,
  type WritableNode,
  type WritableTree,
} from '@anole/vfs';

const MAX_PATH = 4096;
const MAX_NAME = 255;

/** A tree that the guest has mounted, and what serves it. */
export interface Mounted {
  readonly tree: Tree | WritableTree;
  readonly server: FuseServer;
  /** Absolute path in the guest; the root's is `/`. */
  readonly path: string;
}

/** A directory or file that was reached, and where. */
export interface Place {
  readonly mount: Mounted;
  readonly node: TreeNode;
  /** Absolute, without symbolic links. */
  readonly path: string;
}

/** A name in a directory, and what stands there. */
export interface Spot {
  readonly parent: Place;
  readonly name: string;
  readonly path: string;
  readonly found: Place | undefined;
}

type Mounts = ReadonlyMap<string, Mounted>;

export type MakeDirectory = (parent: Place, name: string) => Promise<TreeNode>;

interface Walk {
  /** Whether a symbolic link at the end is followed. */
  readonly follow: boolean;
  /** Makes directories that are missing on the way. */
  readonly make?: MakeDirectory;
}

/** Where the guest's kernel has file systems of its own, which nobody else sees. */
export const ofTheKernel: ReadonlySet<string> = new Set(['/proc', '/sys', '/dev', '/run/anole']);

/**
 * The guest's files as one tree: its root and the volumes in it. Paths mean what they mean in the guest:
 * symbolic links lead from the guest's root, `..` stays below it, and neither leaves it.
 */
export class Namespace {
  readonly #root: Mounted;
  readonly #volumes: readonly Mounted[];
  /** Volumes by the path that they have without symbolic links. */
  #mounts: Promise<Mounts> | undefined;

  constructor(root: Mounted, volumes: readonly Mounted[]) {
    this.#root = root;
    this.#volumes = volumes;
  }

  get all(): readonly Mounted[] {
    return [this.#root, ...this.#volumes];
  }

  /**
   * Goes to a path. Its last name need not be there.
   *
   * @throws VfsError `VFS_NOT_FOUND`, `VFS_NOT_DIRECTORY`, `VFS_LOOP`, `VFS_INVALID`, `VFS_NOT_PERMITTED`
   */
  async go(path: string, walk: Walk): Promise<Spot> {
    return await this.#walk(path, walk, await this.#mountPoints());
  }

  async #walk(path: string, walk: Walk, mounts: Mounts): Promise<Spot> {
    check(path);
    const root: Place = { mount: this.#root, node: this.#root.tree.root, path: '/' };
    const trail: Place[] = [root];
    const todo = partsOf(path).reverse();
    let last: Spot = { parent: root, name: '', path: '/', found: root };
    for (let links = 0; todo.length > 0; ) {
      const name = todo.pop()!;
      const here = trail.at(-1)!;
      if (name === '..') {
        if (trail.length > 1) trail.pop();
        last = spotOf(trail);
        continue;
      }
      const at = here.path === '/' ? `/${name}` : `${here.path}/${name}`;
      if (ofTheKernel.has(at)) throw kernelsOwn(path, at);
      const mount = mounts.get(at);
      const node = mount?.tree.root ?? (await lookup(here, name, path));
      const atEnd = todo.length === 0;
      if (node?.stat.type === 'symlink' && !(atEnd && !walk.follow)) {
        if (++links > MAX_LINKS) throw tooManyLinks(path);
        const target = await node.readLink();
        if (target.startsWith('/')) trail.length = 1;
        todo.push(...partsOf(target).reverse());
        last = spotOf(trail);
        continue;
      }
      if (node === undefined) {
        if (atEnd) return { parent: here, name, path: at, found: undefined };
        const made = await walk.make?.(here, name);
        if (made === undefined) throw notFound(path);
        trail.push({ mount: here.mount, node: made, path: at });
        continue;
      }
      trail.push({ mount: mount ?? here.mount, node, path: at });
      last = spotOf(trail);
    }
    return last;
  }

  /** @throws VfsError as {@link go}, and `VFS_NOT_FOUND` where nothing is there */
  async at(path: string, follow = true): Promise<Place> {
    const { found } = await this.go(path, { follow });
    if (found === undefined) throw notFound(path);
    return found;
  }

  /** @throws VfsError `VFS_NOT_PERMITTED` for a place where something is mounted, or that is above one */
  async checkMovable(path: string): Promise<void> {
    const fixed = [...(await this.#mountPoints()).keys(), ...ofTheKernel];
    const above = path === '/' ? '/' : `${path}/`;
    const mounted = fixed.find((each) => each === path || each.startsWith(above));
    if (mounted === undefined) return;
    throw new VfsError('VFS_NOT_PERMITTED', `Cannot move or remove ${path}: ${mounted} is mounted`);
  }

  /** Where volumes are, without symbolic links. */
  async mounted(): Promise<readonly string[]> {
    return [...(await this.#mountPoints()).keys()];
  }

  #mountPoints(): Promise<Mounts> {
    this.#mounts ??= this.#findMounts();
    return this.#mounts;
  }

  /** The agent mounted volumes in their order, through whatever links there were. */
  async #findMounts(): Promise<Mounts> {
    const mounts = new Map<string, Mounted>();
    for (const volume of this.#volumes) {
      const { found, path } = await this.#walk(volume.path, { follow: true }, mounts);
      if (found !== undefined) mounts.set(path, { ...volume, path });
    }
    return mounts;
  }
}

function spotOf(trail: readonly Place[]): Spot {
  const found = trail.at(-1)!;
  const parent = trail.at(-2) ?? found;
  return { parent, name: nameOf(found.path), path: found.path, found };
}

/**
 * The node of a place, to change it.
 *
 * @throws VfsError `VFS_READ_ONLY`
 */
export function changeable({ mount, node, path }: Place): WritableNode {
  if (isWritable(mount.tree)) return node as WritableNode;
  throw new VfsError('VFS_READ_ONLY', `Cannot change ${path}: ${mount.path} is an image`, {
    details: { path },
  });
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

async function lookup(here: Place, name: string, path: string): Promise<TreeNode | undefined> {
  if (here.node.stat.type !== 'directory') {
    throw new VfsError('VFS_NOT_DIRECTORY', `Cannot reach ${path}: ${here.path} is no directory`);
  }
  return await here.node.lookup(name);
}

function check(path: string): void {
  if (!path.startsWith('/') || path.includes('\0')) {
    throw new VfsError('VFS_INVALID', `Cannot use the path ${JSON.stringify(path)}`, {
      hint: 'Give an absolute path of the guest',
    });
  }
  const parts = partsOf(path);
  if (path.length > MAX_PATH || parts.some((part) => Buffer.byteLength(part) > MAX_NAME)) {
    throw new VfsError('VFS_INVALID', `Cannot use a path of ${path.length} characters`);
  }
}

export function notFound(path: string): VfsError {
  return new VfsError('VFS_NOT_FOUND', `Cannot find ${path} in the sandbox`, { details: { path } });
}

function kernelsOwn(path: string, at: string): VfsError {
  return new VfsError(
    'VFS_NOT_PERMITTED',
    `Cannot reach ${path}: ${at} is the guest kernel's own`,
    {
      hint: 'Run a command in the sandbox that reads or writes it',
      details: { path },
    },
  );
}
