import type { Timestamp, Tree, TreeNode, WritableNode, WritableTree } from '@anole/vfs';
import { VfsError } from '@anole/vfs';
import { type Terms, writeEntry } from './attributes.ts';
import { EntryOut } from './layout/replies.ts';
import { type KnownNode, NodeTable } from './nodes.ts';
import { Replies, type Reply } from './replies.ts';
import type { Request } from './request.ts';

/** Time for which the kernel may believe what nobody but it can change: a year, in seconds. */
const FOR_GOOD = 365 * 24 * 3600;
/** Time for which it may believe what others can change. */
const SHARED = 1;

export interface FuseOptions {
  /** Refuse every change, also where the tree could be changed. */
  readonly readOnly?: boolean;
  /**
   * Nothing changes the tree but requests to this server: the kernel may keep names, attributes and
   * data for good, and the server is asked far less. Default true.
   */
  readonly exclusive?: boolean;
  /**
   * Let the kernel gather writes. Only of use with an exclusive tree that can be changed, where it is
   * the default: the kernel then decides times and sizes.
   */
  readonly writebackCache?: boolean;
  /** Bytes that one READ or WRITE may move: 4096 to 1 MiB, which is the default. */
  readonly maxTransfer?: number;
  /**
   * Let the kernel believe nothing until {@link FuseServer.settle}: for a kernel that is saved, to go
   * on with another tree.
   */
  readonly unsettled?: boolean;
  /** Told of each error that a request met and that no tree foresees. */
  readonly onError?: (error: unknown, opcode: number) => void;
}

/** What the operations of one server share. */
export class Session {
  readonly tree: Tree | WritableTree;
  readonly nodes: NodeTable;
  readonly replies = new Replies();
  terms: Terms;
  readonly #settled: Terms;
  readonly exclusive: boolean;
  readonly writable: boolean;
  readonly writebackCache: boolean;
  readonly maxTransfer: number;
  /** Flags of INIT that both sides have; undefined until INIT was answered. */
  agreed: number | undefined;
  /** Requests that wait for the tree. */
  #waiting = 0;
  #released: KnownNode[] = [];

  constructor(tree: Tree | WritableTree, options: FuseOptions, maxTransfer: number) {
    this.tree = tree;
    this.nodes = new NodeTable(tree.root);
    this.exclusive = options.exclusive ?? true;
    this.writable = 'usage' in tree && options.readOnly !== true;
    this.writebackCache = this.exclusive && this.writable && options.writebackCache !== false;
    this.maxTransfer = maxTransfer;
    const seconds = this.exclusive ? FOR_GOOD : SHARED;
    const delayedWrites = this.writebackCache;
    this.#settled = { entry: seconds, attributes: seconds, delayedWrites };
    this.terms = options.unsettled ? { entry: 0, attributes: 0, delayedWrites } : this.#settled;
  }

  /** The node that a request is about. */
  known(request: Request): KnownNode {
    return this.nodes.get(request.nodeid);
  }

  /** The node of `known`, to change it. */
  changeable(known: KnownNode): WritableNode {
    if (this.writable) return known.node as WritableNode;
    throw new VfsError('VFS_READ_ONLY', 'Cannot change a file system that is only read');
  }

  /** Tells the kernel of a node, which it will have to forget. */
  entry(request: Request, node: TreeNode, parent: KnownNode, name?: string): Reply {
    const { stat } = node;
    const known = this.nodes.remember(node, stat, parent.ino);
    if (name !== undefined) known.name = name;
    const { nodeid } = known;
    return this.replies.ok(request, EntryOut.size, (view, at) =>
      writeEntry(view, at, nodeid, stat, this.terms),
    );
  }

  settle(): void {
    this.terms = this.#settled;
  }

  forget(nodeid: number, lookups: number): void {
    const known = this.nodes.forget(nodeid, lookups);
    if (known !== undefined) this.#release([known]);
  }

  reset(): void {
    this.agreed = undefined;
    this.#release(this.nodes.clear());
  }

  now(): Timestamp {
    const now = Date.now();
    const seconds = Math.floor(now / 1000);
    return { seconds, nanoseconds: (now - seconds * 1000) * 1e6 };
  }

  begin(): void {
    this.#waiting++;
  }

  end(): void {
    this.#waiting--;
    if (this.#waiting === 0) this.#release(this.#released.splice(0));
  }

  /**
   * Releases nodes once no request waits: one that does may have found such a node already, and be
   * about to tell the kernel of it.
   */
  #release(all: readonly KnownNode[]): void {
    for (const known of all) {
      const { node, ino } = known;
      if (!('release' in node)) continue;
      if (this.#waiting > 0) this.#released.push(known);
      else if (!this.nodes.has(ino)) node.release?.();
    }
  }
}
