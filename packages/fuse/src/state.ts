import type { TreeNode } from '@anole/vfs';
import type { Stale } from './drops.ts';
import { Errno, FuseError } from './errors.ts';
import type { KnownNode, NodeTable } from './nodes.ts';
import type { Session } from './session.ts';

/** What a kernel knows of a server, as plain JSON. */
export interface FuseState {
  /** Flags that both sides have; absent before INIT. */
  readonly agreed?: number;
  /** Node numbers from here on were not given out. */
  readonly next: number;
  /** Parents before what they hold. */
  readonly nodes: readonly SavedNode[];
  /** Names that the kernel may believe to be absent, by the number of their directory. */
  readonly absent?: readonly (readonly [number, readonly string[]])[];
}

interface SavedNode {
  readonly nodeid: number;
  readonly parent: number;
  readonly name: string;
  readonly type: string;
  readonly lookups: number;
}

/** What a kernel knows of a server over an overlay, for its copy: every node, by its number there. */
export interface FuseFork {
  readonly agreed: number | undefined;
  readonly next: number;
  readonly nodes: readonly Omit<KnownNode, 'node' | 'listing'>[];
  /** Of the root, which is not among `nodes`: names that the kernel may know. */
  readonly rootTold: ReadonlyMap<string, number>;
  readonly drops: readonly Stale[];
}

export function forkSession({ agreed, nodes, drops }: Session): FuseFork {
  const known = nodes.known().map(({ node: _, listing: __, ...rest }) => rest);
  const rootTold = nodes.get(1).told ?? new Map();
  return { agreed, next: nodes.next, nodes: known, rootTold, drops: drops.save() };
}

export function continueSession(
  session: Session,
  { agreed, next, nodes, rootTold, drops }: FuseFork,
  nodeOf: (ino: number) => TreeNode | undefined,
): void {
  session.reset();
  if (agreed !== undefined) session.agreed = agreed;
  session.nodes.skipTo(next);
  for (const known of nodes) {
    const node = nodeOf(known.ino);
    if (node?.stat.type === known.type) session.nodes.put({ ...known, node });
  }
  session.nodes.putRoot(rootTold);
  session.drops.restore(drops);
}

/** Nodes that a state may have. A kernel holds those of a volume as long as it has memory for them. */
const MAX_NODES = 4_000_000;

export function saveSession(session: Session): FuseState | undefined {
  const state = saveNamed(session);
  // All but the root, which has no name.
  if (state.nodes.length < session.nodes.size - 1) return undefined;
  const absent = [1, ...state.nodes.map(({ nodeid }) => nodeid)].flatMap((nodeid) => {
    const names = absentNames(session.nodes.get(nodeid));
    return names.length === 0 ? [] : [[nodeid, names] as const];
  });
  return { ...state, absent };
}

function absentNames({ told = new Map() }: KnownNode): string[] {
  return [...told].filter(([, nodeid]) => nodeid === 0).map(([name]) => name);
}

export function saveNamed({ agreed, nodes }: Session): FuseState {
  const named = namedNodes(nodes);
  return { ...(agreed !== undefined && { agreed }), next: nodes.next, nodes: named };
}

/**
 * Nodes that the kernel reaches from the root by names that it was told, each by one of those. A file with
 * several may have been found last in a directory that the kernel has forgotten since.
 */
function namedNodes(nodes: NodeTable): SavedNode[] {
  const named: SavedNode[] = [];
  const seen = new Set([1]);
  const directories = [nodes.get(1)];
  for (const directory of directories) {
    for (const [name, nodeid] of directory.told ?? []) {
      const known = seen.has(nodeid) ? undefined : nodes.find(nodeid);
      if (known === undefined) continue;
      const { type, lookups } = known;
      seen.add(nodeid);
      named.push({ nodeid, parent: directory.nodeid, name, type, lookups });
      directories.push(known);
    }
  }
  return named;
}

export async function restoreSession(session: Session, state: FuseState): Promise<void> {
  checkState(state);
  session.reset();
  if (state.agreed !== undefined) session.agreed = state.agreed;
  session.nodes.skipTo(state.next);
  const found = new Map<number, KnownNode>([[1, session.nodes.get(1)]]);
  for (const { nodeid, parent, name, type, lookups } of state.nodes) {
    const directory = found.get(parent);
    const node = await directory?.node.lookup(name);
    if (directory === undefined || node === undefined || node.stat.type !== type) continue;
    const { ino } = node.stat;
    const known = {
      nodeid,
      node,
      ino,
      type: node.stat.type,
      lookups,
      parentIno: directory.ino,
      name,
    };
    session.nodes.put(known);
    session.nodes.name(directory, name, known);
    found.set(nodeid, known);
  }
  for (const [nodeid, names] of state.absent ?? []) {
    const directory = found.get(nodeid);
    for (const name of names) if (directory !== undefined) session.nodes.absent(directory, name);
  }
}

function checkState({ agreed = 0, next, nodes, absent = [] }: FuseState): void {
  const isNumber = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0;
  const isName = (value: unknown) => typeof value === 'string';
  const valid =
    isNumber(agreed) &&
    isNumber(next) &&
    Array.isArray(nodes) &&
    nodes.length <= MAX_NODES &&
    nodes.every(
      (node: Partial<SavedNode> | null) =>
        isNumber(node?.nodeid) &&
        Number(node?.nodeid) > 1 &&
        Number(node?.nodeid) < next &&
        isNumber(node?.lookups) &&
        typeof node?.name === 'string',
    ) &&
    Array.isArray(absent) &&
    absent.every(([nodeid, names]) => isNumber(nodeid) && names.every(isName));
  if (valid) return;
  throw new FuseError(
    'FUSE_BAD_STATE',
    'Cannot go on with a state that no server had',
    Errno.EINVAL,
  );
}
