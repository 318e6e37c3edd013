import type { FileType, Stat, TreeNode, WritableNode } from '@anole/vfs';
import { Errno, FuseError } from './errors.ts';
import type { Listing } from './listing.ts';

/** The root's nodeid: linux/fuse.h, FUSE_ROOT_ID. */
const ROOT = 1;

/** A node that the kernel knows. */
export interface KnownNode {
  /** Never used twice, so that its generation is always 0. */
  readonly nodeid: number;
  readonly node: TreeNode | WritableNode;
  readonly ino: number;
  readonly type: FileType;
  /** How often the kernel was told of it and did not forget it. */
  lookups: number;
  /** The ino of the directory it was last found in, for `..`. */
  parentIno: number;
  /** Its name there, where it was found by a name. */
  name?: string;
  /** Of a directory: its entries at the positions told to the kernel. */
  listing?: Listing;
  /** Set where the node is known to have no `security.capability`. */
  powerless?: boolean;
}

/**
 * Nodes by the numbers the kernel uses. A node is one inode: its `ino` tells it apart, so that the
 * names of a hard link meet in one entry. It stays until the kernel forgets it, which is also what
 * keeps a file without a name alive as long as it is open.
 */
export class NodeTable {
  readonly #byId = new Map<number, KnownNode>();
  readonly #byIno = new Map<number, KnownNode>();
  readonly #root: TreeNode;
  #next = ROOT + 1;

  constructor(root: TreeNode) {
    this.#root = root;
    this.clear();
  }

  get size(): number {
    return this.#byId.size;
  }

  /** @throws FuseError with ESTALE for a number that was never given out, or forgotten. */
  get(nodeid: number): KnownNode {
    const known = this.#byId.get(nodeid);
    if (known !== undefined) return known;
    throw new FuseError('FUSE_BAD_REQUEST', `Cannot find node ${nodeid}`, Errno.ESTALE);
  }

  /** Notes that the kernel is told of `node`, found in the directory of `parentIno`. */
  remember(node: TreeNode, { ino, type }: Stat, parentIno: number): KnownNode {
    let known = this.#byIno.get(ino);
    // Of another type it is another file, whose number was used again.
    if (known?.type !== type) {
      known = { nodeid: this.#next++, node, ino, type, lookups: 0, parentIno };
      this.#byId.set(known.nodeid, known);
      this.#byIno.set(ino, known);
    }
    known.lookups++;
    known.parentIno = parentIno;
    return known;
  }

  /** The next number that is given out. */
  get next(): number {
    return this.#next;
  }

  /** Nodes but the root, each behind the directory it was found in where that is known. */
  known(): KnownNode[] {
    return [...this.#byId.values()].filter(({ nodeid }) => nodeid !== ROOT);
  }

  /** The number of the node with this ino. */
  numberOf(ino: number): number | undefined {
    return this.#byIno.get(ino)?.nodeid;
  }

  /** Puts a node back under a number that a kernel already has for it. */
  put(known: KnownNode): void {
    this.#byId.set(known.nodeid, known);
    this.#byIno.set(known.ino, known);
  }

  /** Numbers below are a kernel's already. */
  skipTo(next: number): void {
    this.#next = Math.max(this.#next, next);
  }

  /** Whether the kernel knows a node of this ino. */
  has(ino: number): boolean {
    return this.#byIno.has(ino);
  }

  /** Takes back `lookups`; returns what is known of the node once nothing is left of them. */
  forget(nodeid: number, lookups: number): KnownNode | undefined {
    const known = this.#byId.get(nodeid);
    if (known === undefined || nodeid === ROOT) return undefined;
    known.lookups -= lookups;
    if (known.lookups > 0) return undefined;
    this.#byId.delete(nodeid);
    if (this.#byIno.get(known.ino) === known) this.#byIno.delete(known.ino);
    return known;
  }

  /** Forgets all but the root, and returns what was known. */
  clear(): KnownNode[] {
    const all = [...this.#byId.values()].filter(({ nodeid }) => nodeid !== ROOT);
    this.#byId.clear();
    this.#byIno.clear();
    const { ino, type } = this.#root.stat;
    const root = { nodeid: ROOT, node: this.#root, ino, type, lookups: 1, parentIno: ino };
    this.#byId.set(ROOT, root);
    this.#byIno.set(ino, root);
    return all;
  }
}
