import type { FileType, Stat, TreeNode, WritableNode } from '@anole/vfs';
import { Errno, FuseError } from './errors.ts';
import type { Listing } from './listing.ts';

/** The root's nodeid: linux/fuse.h, FUSE_ROOT_ID. */
const ROOT = 1;
/** Number of the node with ino 0, where numbers follow from them: behind the root's. */
const FIRST_FIXED = ROOT + 1;
/** Names that the kernel may be told to be absent for good: a guest can ask for any number of them. */
const MAX_ABSENT = 100_000;
/** Steps from a node to the root; more are a loop, which a hostile kernel may have made. */
const MAX_DEPTH = 4096;

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
  /** Of a directory: names that the kernel may know, with the node's number, or 0 for "not there". */
  told?: Map<string, number>;
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
  readonly #fixed: boolean;
  #next = ROOT + 1;
  #absent = 0;

  /** @param fixed whether a node's number follows from its `ino` */
  constructor(root: TreeNode, fixed: boolean) {
    this.#root = root;
    this.#fixed = fixed;
    this.clear();
  }

  get size(): number {
    return this.#byId.size;
  }

  /** @throws FuseError with ESTALE for a number that was never given out, or forgotten. */
  get(nodeid: number): KnownNode {
    const known = this.find(nodeid);
    if (known !== undefined) return known;
    throw new FuseError('FUSE_BAD_REQUEST', `Cannot find node ${nodeid}`, Errno.ESTALE);
  }

  /** The node with a number; undefined where the kernel knows none. */
  find(nodeid: number): KnownNode | undefined {
    return this.#byId.get(nodeid);
  }

  /** Notes that the kernel is told of `node`, found in the directory of `parentIno`. */
  remember(node: TreeNode, { ino, type }: Stat, parentIno: number): KnownNode {
    let known = this.#byIno.get(ino);
    // Of another type it is another file, whose number was used again.
    if (known?.type !== type) {
      const nodeid = this.#fixed ? ino + FIRST_FIXED : this.#next++;
      known = { nodeid, node, ino, type, lookups: 0, parentIno };
      this.#byId.set(known.nodeid, known);
      this.#byIno.set(ino, known);
    }
    known.lookups++;
    known.parentIno = parentIno;
    return known;
  }

  /** The `ino` for a number that this table does not know, but another may have given out. */
  forgotten(nodeid: number): number | undefined {
    if (!this.#fixed || nodeid < FIRST_FIXED || this.#byId.has(nodeid)) return undefined;
    return nodeid - FIRST_FIXED;
  }

  /** Takes up a node again that a kernel knows: it knows best how often. */
  revive(nodeid: number, node: TreeNode): void {
    const { ino, type } = node.stat;
    if (this.#byId.has(nodeid) || this.#byIno.has(ino)) return;
    this.put({ nodeid, node, ino, type, lookups: Number.MAX_SAFE_INTEGER, parentIno: ino });
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
    this.#absent += absentIn(known.told);
  }

  /** Puts back what a kernel was told of names in the root. */
  putRoot(told: ReadonlyMap<string, number>): void {
    this.get(ROOT).told = new Map(told);
    this.#absent += absentIn(told);
  }

  /** Numbers below are a kernel's already. */
  skipTo(next: number): void {
    this.#next = Math.max(this.#next, next);
  }

  /** Whether the kernel knows a node of this ino. */
  has(ino: number): boolean {
    return this.#byIno.has(ino);
  }

  /** Gives a node another number when the kernel is told of it next. It may know both. */
  renumber(ino: number): void {
    if (ino !== this.#root.stat.ino) this.#byIno.delete(ino);
  }

  byIno(ino: number): KnownNode | undefined {
    return this.#byIno.get(ino);
  }

  /** Notes that the kernel knows `known` by this name. */
  name(parent: KnownNode, name: string, known: KnownNode): void {
    known.name = name;
    known.parentIno = parent.ino;
    this.#tell(parent, name, known.nodeid);
  }

  /** Notes that the kernel may believe a name to be absent. False: it must not, there are too many. */
  absent(parent: KnownNode, name: string): boolean {
    if (this.#absent >= MAX_ABSENT) return false;
    this.#tell(parent, name, 0);
    return true;
  }

  /** Notes that the kernel will ask for a name. Returns the node that had it, where it is known. */
  unname(parent: KnownNode, name: string): KnownNode | undefined {
    const nodeid = parent.told?.get(name);
    if (nodeid === undefined) return undefined;
    parent.told!.delete(name);
    if (nodeid === 0) this.#absent--;
    return this.#byId.get(nodeid);
  }

  /** Whether the name that a node was last found by is still its own. */
  isNamed({ name, nodeid, parentIno }: KnownNode): boolean {
    if (nodeid === ROOT) return true;
    return name !== undefined && this.#byIno.get(parentIno)?.told?.get(name) === nodeid;
  }

  /** Names from the root to a node; undefined where one of them is not known. */
  pathOf(known: KnownNode): string[] | undefined {
    const names: string[] = [];
    for (let at = known; at.nodeid !== ROOT; ) {
      const parent = this.#byIno.get(at.parentIno);
      if (at.name === undefined || parent === undefined || names.length > MAX_DEPTH)
        return undefined;
      names.push(at.name);
      at = parent;
    }
    return names.reverse();
  }

  /** As {@link pathOf}, of the node with that number, if it is known. */
  pathOfNumber(nodeid: number): string[] | undefined {
    const known = this.find(nodeid);
    return known && this.pathOf(known);
  }

  #tell(parent: KnownNode, name: string, nodeid: number): void {
    this.unname(parent, name);
    parent.told ??= new Map();
    parent.told.set(name, nodeid);
    if (nodeid === 0) this.#absent++;
  }

  /** Takes back `lookups`; returns what is known of the node once nothing is left of them. */
  forget(nodeid: number, lookups: number): KnownNode | undefined {
    const known = this.#byId.get(nodeid);
    if (known === undefined || nodeid === ROOT) return undefined;
    known.lookups -= lookups;
    if (known.lookups > 0) return undefined;
    this.#byId.delete(nodeid);
    if (this.#byIno.get(known.ino) === known) this.#byIno.delete(known.ino);
    const parent = this.#byIno.get(known.parentIno);
    if (known.name !== undefined && parent?.told?.get(known.name) === nodeid) {
      parent.told.delete(known.name);
    }
    this.#absent -= absentIn(known.told);
    return known;
  }

  /** Forgets all but the root, and returns what was known. */
  clear(): KnownNode[] {
    const all = [...this.#byId.values()].filter(({ nodeid }) => nodeid !== ROOT);
    this.#byId.clear();
    this.#byIno.clear();
    this.#absent = 0;
    const { ino, type } = this.#root.stat;
    const root = { nodeid: ROOT, node: this.#root, ino, type, lookups: 1, parentIno: ino };
    this.#byId.set(ROOT, root);
    this.#byIno.set(ino, root);
    return all;
  }
}

function absentIn(told: ReadonlyMap<string, number> = new Map()): number {
  let count = 0;
  for (const nodeid of told.values()) if (nodeid === 0) count++;
  return count;
}
