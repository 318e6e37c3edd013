import { type Awaitable, chain, type Flow, flow, wait } from '@anole/bytes';
import { VfsError } from './errors.ts';
import { splitPath } from './paths.ts';
import type { Tree, TreeNode } from './tree.ts';

/** Symbolic links followed on one way, as in Linux (MAXSYMLINKS). */
export const MAX_LINKS = 40;

export interface FindOptions {
  /** Whether a symbolic link at the end of the path is followed too. Default true. */
  readonly followSymlinks?: boolean;
}

/**
 * The node at a path, or undefined. Paths begin at the root of the tree, with or without a slash.
 * Symbolic links are followed inside the tree only: an absolute target begins at its root, and `..`
 * stays there.
 *
 * @throws VfsError `VFS_LOOP` after 40 links.
 */
export function findNode(
  tree: Tree,
  path: string,
  options: FindOptions = {},
): Awaitable<TreeNode | undefined> {
  return chain(
    flow(() => find(tree.root, path, options.followSymlinks ?? true)),
    (found) => found?.node,
  );
}

/** A node, and the path at which it lies: relative to the root, without symbolic links; the root's is empty. */
export interface Found {
  readonly node: TreeNode;
  readonly path: string;
}

/** As {@link findNode}, following all symbolic links, with the path that is behind them. */
export function findFollowed(tree: Tree, path: string): Awaitable<Found | undefined> {
  return flow(() => find(tree.root, path, true));
}

function* find(root: TreeNode, path: string, followLast: boolean): Flow<Found | undefined> {
  const trail: TreeNode[] = [root];
  const names: string[] = [];
  const todo = splitPath(path).reverse();
  let links = 0;
  for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
    if (part === '..') {
      if (trail.length > 1) trail.pop();
      names.pop();
      continue;
    }
    const directory = trail.at(-1)!;
    if (directory.stat.type !== 'directory') return undefined;
    const node = yield* wait(directory.lookup(part));
    if (node === undefined) return undefined;
    if (node.stat.type !== 'symlink' || (todo.length === 0 && !followLast)) {
      trail.push(node);
      names.push(part);
      continue;
    }
    if (++links > MAX_LINKS) throw tooManyLinks(path);
    const target = yield* wait(node.readLink());
    if (target.startsWith('/')) {
      trail.length = 1;
      names.length = 0;
    }
    todo.push(...splitPath(target).reverse());
  }
  return { node: trail.at(-1)!, path: names.join('/') };
}

export function tooManyLinks(path: string): VfsError {
  return new VfsError('VFS_LOOP', `Cannot resolve ${path}: more than ${MAX_LINKS} symbolic links`, {
    details: { path },
  });
}
