import type { Awaitable } from '@anole/bytes';
import type { Timestamp, Tree, TreeNode, WritableNode, WritableTree } from '@anole/vfs';
import { isWritable, VfsError } from '@anole/vfs';
import { type Terms, writeEntry } from './attributes.ts';
import type { Backings } from './backings.ts';
import { Drops } from './drops.ts';
import { InitFlag2 } from './layout/flags.ts';
import { EntryOut } from './layout/replies.ts';
import { type KnownNode, NodeTable } from './nodes.ts';
import { Replies, type Reply } from './replies.ts';
import type { Request } from './request.ts';
import type { Window } from './window.ts';

/** Time for which the kernel may believe what nobody but it can change: a year, in seconds. */
const FOR_GOOD = 365 * 24 * 3600;
/** Time for which it may believe what others can change. */
const SHARED = 1;

export interface FuseOptions {
  /** Refuse every change, also where the tree could be changed. */
  readonly readOnly?: boolean;
  /**
   * The kernel has the file system mounted read-only (`ro`): it refuses to change anything by itself, and opens files
   * without asking. Default false.
   */
  readonly mountedReadOnly?: boolean;
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
  /** Bytes that the kernel may read ahead of who reads a file. Default `maxTransfer`; it has a bound of its own, too. */
  readonly maxReadahead?: number;
  /**
   * Let the kernel believe nothing until {@link FuseServer.settle}: for a kernel that is saved, to go
   * on with another tree.
   */
  readonly unsettled?: boolean;
  /**
   * Gives the node with an `ino` of a tree that never changes. Then the kernel's numbers follow from
   * it, so that another server can go on where this one ends, even without a farewell: it is given
   * what {@link FuseServer.agreed} said, and asks the kernel for its requests again
   * ({@link resendRequests}).
   */
  readonly nodeOf?: (ino: number) => Awaitable<TreeNode | undefined>;
  /** Flags that a server before this one agreed on with the kernel. */
  readonly agreed?: number;
  /**
   * Files that the kernel reads by itself, where it can. It asks at each open then. Only of use with `mountedReadOnly`.
   */
  readonly backings?: Backings | undefined;
  /**
   * For files that the kernel maps, where it can. Only of use with an exclusive tree that is only read: what
   * the kernel writes into a file that it mapped, it tells nobody.
   */
  readonly window?: Window | undefined;
  /**
   * Process of the guest that drops what {@link FuseServer.changed} names, by its id there. Default 1,
   * the first process.
   */
  readonly keeper?: number;
  /** Told of each error that a request met and that no tree foresees. */
  readonly onError?: (error: unknown, opcode: number) => void;
  /**
   * Told of each request that is answered with EIO, and of the path that it was about, without a slash before it,
   * where the kernel asked by names for all of it.
   */
  readonly onFailure?: (error: unknown, path: string | undefined) => void;
}

/** What a request changed, by numbers of nodes. */
export interface TreeChange {
  readonly kind: 'create' | 'write' | 'attributes' | 'remove' | 'rename';
  /** Names from the root, as the kernel knows them. */
  readonly path: readonly string[];
  /** Of a rename: where it was before. */
  readonly from?: readonly string[];
}

/** What the operations of one server share. */
export class Session {
  readonly tree: Tree | WritableTree;
  readonly nodes: NodeTable;
  readonly replies = new Replies();
  terms: Terms;
  readonly exclusive: boolean;
  readonly writable: boolean;
  /** Whether the kernel may open files without asking: nothing has to be refused then. */
  readonly opensFreely: boolean;
  readonly writebackCache: boolean;
  readonly maxTransfer: number;
  readonly maxReadahead: number;
  readonly nodeOf: FuseOptions['nodeOf'];
  readonly backings: Backings | undefined;
  readonly drops: Drops;
  /** Told of changes that the kernel asked for. */
  observer: ((change: TreeChange) => void) | undefined;
  readonly #window: Window | undefined;
  #agreed: number | undefined;
  #isSettled: boolean;
  /** Requests that wait for the tree. */
  #waiting = 0;
  /** For data that are read. */
  #memory: Uint8Array | undefined;
  #released: Pick<KnownNode, 'node' | 'ino'>[] = [];

  constructor(tree: Tree | WritableTree, options: FuseOptions, maxTransfer: number) {
    this.tree = tree;
    this.nodes = new NodeTable(tree.root, options.nodeOf !== undefined);
    this.nodeOf = options.nodeOf;
    this.#agreed = options.agreed;
    this.drops = new Drops(this.nodes, options.keeper ?? 1);
    this.exclusive = options.exclusive ?? true;
    this.writable = isWritable(tree) && options.readOnly !== true;
    this.opensFreely = this.writable || options.mountedReadOnly === true;
    this.backings = options.mountedReadOnly === true ? options.backings : undefined;
    this.writebackCache = this.exclusive && this.writable && options.writebackCache !== false;
    this.maxTransfer = maxTransfer;
    this.maxReadahead = options.maxReadahead ?? maxTransfer;
    this.#window = this.exclusive && !this.writable ? options.window : undefined;
    this.#isSettled = options.unsettled !== true;
    this.terms = this.#newTerms();
  }

  /** Flags of INIT that both sides have, all 64 bits in one number; undefined until INIT was answered. */
  get agreed(): number | undefined {
    return this.#agreed;
  }

  set agreed(flags: number | undefined) {
    this.#agreed = flags;
    this.terms = this.#newTerms();
  }

  /** Whether to agree on a window. */
  get offersWindow(): boolean {
    return this.#window !== undefined && this.#window.size > 0;
  }

  /** The window, where that was agreed on. */
  get window(): Window | undefined {
    return this.#agrees(InitFlag2.HAS_INODE_DAX) ? this.#window : undefined;
  }

  #agrees(flag2: number): boolean {
    return (Math.floor((this.#agreed ?? 0) / 2 ** 32) & flag2) !== 0;
  }

  #newTerms(): Terms {
    const seconds = !this.#isSettled ? 0 : this.exclusive ? FOR_GOOD : SHARED;
    return {
      entry: seconds,
      attributes: seconds,
      delayedWrites: this.writebackCache,
      // A mapping outlives the tree that it is of, where the kernel goes on with another one.
      maps: this.#isSettled && this.window !== undefined,
    };
  }

  /** Those whose files the kernel reads by itself, where that was agreed on. */
  get passing(): Backings | undefined {
    return this.#agrees(InitFlag2.PASSTHROUGH) ? this.backings : undefined;
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
    if (name !== undefined) this.nodes.name(parent, name, known);
    const { nodeid } = known;
    return this.replies.ok(request, EntryOut.size, (view, at) =>
      writeEntry(view, at, nodeid, stat, this.terms),
    );
  }

  /** Tells who watches of a change at a name of a directory, or of the node itself. */
  note(kind: TreeChange['kind'], at: KnownNode, name?: string, from?: readonly string[]): void {
    if (this.observer === undefined) return;
    // What lost its name may still be written: that is nobody's business.
    if (name === undefined && !this.nodes.isNamed(at)) return;
    const above = this.nodes.pathOf(at);
    if (above === undefined) return;
    const path = name === undefined ? above : [...above, name];
    this.observer({ kind, path, ...(from && { from }) });
  }

  /** Memory of at least so many bytes, which have been used before. */
  lend(length: number): Uint8Array {
    const memory = this.#memory;
    this.#memory = undefined;
    return memory && memory.length >= length ? memory : new Uint8Array(length);
  }

  giveBack(memory: Uint8Array): void {
    this.#memory = memory;
  }

  settle(): void {
    this.#isSettled = true;
    this.terms = this.#newTerms();
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
    if (this.#waiting > 0) return;
    for (const known of this.#released.splice(0)) this.release(known);
  }

  /**
   * Releases nodes once no request waits: one that does may have found such a node already, and be
   * about to tell the kernel of it.
   */
  #release(all: readonly KnownNode[]): void {
    for (const known of all) this.release(known);
  }

  /** Releases a node that the kernel does not know, or will not. */
  release(known: Pick<KnownNode, 'node' | 'ino'>): void {
    const { node, ino } = known;
    if (!('release' in node)) return;
    if (this.#waiting > 0) this.#released.push(known);
    else if (!this.nodes.has(ino)) node.release?.();
  }
}
