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

/** Takes an overlay as it is. Chunks of files that it alone had are moved into shared memory. */
export function saveOverlay(tree: OverlayTree, nodes: Iterable<OverlayNode>): NodeState[] {
  const all = new Set(nodes);
  // A set also gives what is added to it meanwhile.
  for (const node of all) if (node.parent !== undefined) all.add(node.parent);
  all.add(tree.root);
  return Array.from(all, (node) => node.save());
}

/** Puts nodes into an overlay in which nothing was changed: a fork waits for hundreds. */
export function* restoreNodes(tree: OverlayTree, states: readonly NodeState[]): Flow<void> {
  const lowers = new Map<string, TreeNode | undefined>([['', tree.root.lower]]);
  const nodes = new Map<number, OverlayNode>();
  for (const { stat, lowerPath } of states) {
    const lower = lowerPath === undefined ? undefined : yield* findLower(lowers, lowerPath);
    if (lower !== undefined && !isSame(tree, lower, stat)) throw changed(lowerPath!);
    const node = lowerPath === '' ? tree.root : new OverlayNode(tree, stat, lower, lowerPath);
    nodes.set(stat.ino, node);
    tree.keep(node);
  }
  for (const state of states) nodes.get(state.stat.ino)!.restore(state, (ino) => nodes.get(ino));
}

function* findLower(known: Map<string, TreeNode | undefined>, path: string): Flow<TreeNode> {
  let lower = known.get(path);
  if (lower === undefined) {
    const slash = path.lastIndexOf('/');
    const parent = yield* findLower(known, path.slice(0, Math.max(0, slash)));
    lower = yield* wait(parent.lookup(path.slice(slash + 1)));
    known.set(path, lower);
  }
  if (lower !== undefined) return lower;
  throw changed(path);
}

/** Whether a lower node is the one that `stat` was of, when it was first seen. */
function isSame(tree: OverlayTree, { stat: lower }: TreeNode, stat: Stat): boolean {
  return lower.type === stat.type && tree.inoOf(lower.ino) === stat.ino;
}

function changed(path: string): VfsError {
  return new VfsError('VFS_NOT_FOUND', `Cannot find /${path} again: the lower tree has changed`);
}
