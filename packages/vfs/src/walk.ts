import { isPromise } from '@anole/bytes';
import { VfsError } from './errors.ts';
import { isName } from './names.ts';
import { compareNames } from './paths.ts';
import { pause } from './pause.ts';
import type { DirectoryEntry, FileType, Tree, TreeNode } from './tree.ts';

export interface WalkEntry {
  /** From the root, without a leading slash; empty for the root itself. */
  readonly path: string;
  readonly node: TreeNode;
  /** Path of the first name met of the same node, where this is another one (a hard link). */
  readonly linkTo?: string;
}

export interface WalkOptions {
  readonly signal?: AbortSignal;
  /** Paths for which it is false are left out; directories with all that is below them. */
  filter?(path: string): boolean;
  /** Children that are listed as of other types are left out: they are not looked up. */
  readonly types?: ReadonlySet<FileType>;
}

/** Names between two turns of the event loop. */
const PAUSE_EVERY = 2048;

/**
 * Every name of a tree: depth first, a directory before what is in it, names in the order of their
 * bytes. The root comes first. So every `path` stays within the root, whatever made the tree.
 *
 * @throws VfsError `VFS_INVALID` where a directory lists what is no name: `..`, or with a slash.
 */
export async function* walk(
  tree: Tree,
  options: WalkOptions = {},
): AsyncGenerator<WalkEntry, void, undefined> {
  const firstNames = new Map<number, string>();
  // Of each directory on the way: what is still to come, the next one last.
  const todo: { readonly prefix: string; readonly node: TreeNode; names: string[] }[] = [];
  let passed = 0;
  yield { path: '', node: tree.root };
  todo.push({ prefix: '', node: tree.root, names: await pendingNames(tree.root, options.types) });
  for (let level = todo.at(-1); level !== undefined; level = todo.at(-1)) {
    const name = level.names.pop();
    if (name === undefined) {
      todo.pop();
      continue;
    }
    if (!isName(name)) throw badName(level.prefix, name);
    const path = level.prefix + name;
    if (options.filter && !options.filter(path)) continue;
    if (++passed % PAUSE_EVERY === 0) await pause();
    options.signal?.throwIfAborted();
    const found = level.node.lookup(name);
    const node = isPromise(found) ? await found : found;
    // A tree that changes meanwhile may have lost the name since it was listed.
    if (node === undefined) continue;
    if (node.stat.type === 'directory') {
      yield { path, node };
      todo.push({ prefix: `${path}/`, node, names: await pendingNames(node, options.types) });
      continue;
    }
    const linkTo = firstName(firstNames, node, path);
    yield linkTo === undefined ? { path, node } : { path, node, linkTo };
  }
}

function badName(prefix: string, name: string): VfsError {
  const shown = JSON.stringify(name.slice(0, 300));
  return new VfsError('VFS_INVALID', `Cannot go through /${prefix}: it lists the name ${shown}`, {
    hint: 'The image or archive is damaged or hostile.',
  });
}

/** The first path of a node with several names; notes this one where it is the first. */
export function firstName(
  known: Map<number, string>,
  node: TreeNode,
  path: string,
): string | undefined {
  if (node.stat.nlink < 2) return undefined;
  const first = known.get(node.stat.ino);
  if (first === undefined) known.set(node.stat.ino, path);
  return first;
}

/** Names of a directory, the first one last. */
async function pendingNames(
  directory: TreeNode,
  types: ReadonlySet<FileType> | undefined,
): Promise<string[]> {
  const entries = await sortedEntries(directory, types);
  const wanted = types ? entries.filter(({ type }) => types.has(type)) : entries;
  return wanted.map(({ name }) => name).reverse();
}

/** The listing of a directory in the order of the names' bytes. */
export async function sortedEntries(
  directory: TreeNode,
  types?: ReadonlySet<FileType>,
): Promise<readonly DirectoryEntry[]> {
  const entries = await directory.list(types);
  for (let at = 1; at < entries.length; at++) {
    if (compareNames(entries[at - 1]!.name, entries[at]!.name) > 0) {
      return entries.toSorted((a, b) => compareNames(a.name, b.name));
    }
  }
  return entries;
}
