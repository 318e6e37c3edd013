import { type Flow, wait } from '@anole/bytes';
import { VfsError } from '../errors.ts';
import type { Stat, TreeNode } from '../tree.ts';
import type { ContentState } from './content.ts';
import { OverlayNode } from './node.ts';
import type { OverlayTree } from './tree.ts';

/**
 * An overlay as it was at one moment, for another one over the same lower tree: plain data that can be
 * posted to a thread. Bytes of files are in memory that both share, and copy before they write.
 */
export interface OverlayState {
  readonly nextIno: number;
  readonly renumbered: readonly (readonly [number, number])[];
  readonly used: number;
  readonly nodes: readonly NodeState[];
  /** Nodes beside those that are as the lower tree has them. */
  readonly same?: SameNodes;
}

/** They are hundreds, posted in two pieces of memory: a list takes both threads longer (docs/decisions/0243). */
export interface SameNodes {
  /** Paths in the lower tree, a NUL after each. */
  readonly paths: string;
  /** For each its ino, and the ino of the directory that it was seen in, 0 where that is not known. */
  readonly numbers: Float64Array;
}

export interface NodeState {
  readonly stat: Stat;
  /** Path of the node's lower node in the lower tree. */
  readonly lowerPath: string | undefined;
  readonly parent: number | undefined;
  readonly names: readonly (readonly [string, number | null])[];
  readonly attributes: ReadonlyMap<string, Uint8Array> | undefined;
  readonly target: string | undefined;
  readonly removed: boolean;
  readonly changed: boolean;
  readonly content: ContentState | undefined;
}

/** Nodes of a lower tree with which others begin; a guest that walked all of a large image left more. */
const maxFound = 10_000;

/**
 * Takes an overlay as it is. Chunks of files that it alone had are moved into shared memory.
 *
 * @param brief whether nodes that are as the lower tree has them go into `same`: a third of the time to post
 * them, as most are
 */
export function saveOverlay(
  tree: OverlayTree,
  nodes: Iterable<OverlayNode>,
  brief: boolean,
): Pick<OverlayState, 'nodes' | 'same'> {
  const all = new Set(nodes);
  // A set also gives what is added to it meanwhile.
  for (const node of all) if (node.parent !== undefined) all.add(node.parent);
  all.add(tree.root);
  if (!brief) return { nodes: Array.from(all, (node) => node.save()) };
  const states: NodeState[] = [];
  let paths = '';
  const numbers: number[] = [];
  for (const node of all) {
    if (!node.isLower) {
      states.push(node.save());
      continue;
    }
    paths += `${node.lowerPath}\0`;
    numbers.push(node.stat.ino, node.parent?.stat.ino ?? 0);
  }
  return { nodes: states, same: { paths, numbers: Float64Array.from(numbers) } };
}

/** Puts nodes into an overlay in which nothing was changed: a fork waits for hundreds. */
export function* restoreNodes(
  tree: OverlayTree,
  { nodes: states, same }: Pick<OverlayState, 'nodes' | 'same'>,
): Flow<void> {
  const lowers = tree.found ?? new Map<string, TreeNode>();
  if (lowers.size > maxFound) lowers.clear();
  lowers.set('', tree.root.lower!);
  const nodes = new Map<number, OverlayNode>();
  const numbers = same?.numbers ?? new Float64Array();
  const paths = same?.paths.split('\0') ?? [];
  for (let at = 0; at < numbers.length; at += 2) {
    const [path, ino] = [paths[at / 2]!, numbers[at]!];
    const lower = yield* findLower(lowers, path);
    if (tree.inoOf(lower.stat.ino) !== ino) throw changed(path);
    nodes.set(ino, tree.wrap(lower, path));
  }
  for (const { stat, lowerPath } of states) {
    const lower = lowerPath === undefined ? undefined : yield* findLower(lowers, lowerPath);
    if (lower !== undefined && !isSame(tree, lower, stat)) throw changed(lowerPath!);
    const node = lowerPath === '' ? tree.root : new OverlayNode(tree, stat, lower, lowerPath);
    nodes.set(stat.ino, node);
    tree.keep(node);
  }
  for (let at = 0; at < numbers.length; at += 2) {
    const parent = nodes.get(numbers[at + 1]!);
    if (parent !== undefined) nodes.get(numbers[at]!)!.parent = parent;
  }
  for (const state of states) nodes.get(state.stat.ino)!.restore(state, (ino) => nodes.get(ino));
}

function* findLower(known: Map<string, TreeNode>, path: string): Flow<TreeNode> {
  const there = known.get(path);
  if (there !== undefined) return there;
  const slash = path.lastIndexOf('/');
  const parent = yield* findLower(known, path.slice(0, Math.max(0, slash)));
  const lower = yield* wait(parent.lookup(path.slice(slash + 1)));
  if (lower === undefined) throw changed(path);
  known.set(path, lower);
  return lower;
}

/** Whether a lower node is the one that `stat` was of, when it was first seen. */
function isSame(tree: OverlayTree, { stat: lower }: TreeNode, stat: Stat): boolean {
  return lower.type === stat.type && tree.inoOf(lower.ino) === stat.ino;
}

function changed(path: string): VfsError {
  return new VfsError('VFS_NOT_FOUND', `Cannot find /${path} again: the lower tree has changed`);
}
