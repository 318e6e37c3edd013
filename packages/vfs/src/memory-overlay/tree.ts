import { type Awaitable, type Flow, flow, isPromise } from '@anole/bytes';
import { VfsError } from '../errors.ts';
import { type LayerBetweenOptions, layerBetween } from '../layer-between.ts';
import type { Timestamp, Tree, TreeNode } from '../tree.ts';
import type { Usage, WritableTree } from '../writable.ts';
import { Budget, NODE_COST } from './budget.ts';
import type { ChunkStore } from './chunk.ts';
import { OverlayNode } from './node.ts';
import { type OverlayState, restoreNodes, saveOverlay } from './state.ts';

/** Inodes made here are numbered from this on: no image in use comes near it. */
const FIRST_OWN_INO = 2 ** 40;

export interface MemoryOverlayOptions {
  /** What the layer may hold in memory, in bytes, inodes and names included. Default 1 GiB. */
  readonly maxBytes?: number;
  /** Told each time that `maxBytes` kept a change from being made. */
  readonly onFull?: () => void;
  /** The time written into changed nodes. Default: the clock, to the millisecond. */
  readonly now?: () => Timestamp;
  /**
   * Nodes of the lower tree by their paths there, kept for others that are restored over the same tree.
   * Only for trees that nobody changes.
   */
  readonly found?: Map<string, TreeNode>;
}

export interface SaveOverlayOptions {
  /**
   * Of nodes that are as the lower tree has them, says only where they are: less to post, and not for
   * `writeOverlay`. Default false.
   */
  readonly brief?: boolean;
}

/** What all nodes of one overlay share. */
export class OverlayTree implements WritableTree {
  readonly root: OverlayNode;
  readonly budget: Budget;
  readonly now: () => Timestamp;
  /** Where chunks of restored files are that were not written since. */
  store: ChunkStore | undefined;
  /** See {@link MemoryOverlayOptions.found}. */
  readonly found: Map<string, TreeNode> | undefined;
  readonly #lower: Tree;
  /** Every node that is in use or changed, by its ino: so hard links meet in one node. */
  readonly #nodes = new Map<number, OverlayNode>();
  readonly #renumbered = new Map<number, number>();
  #nextIno = FIRST_OWN_INO;
  #tail: Promise<void> | undefined;

  constructor(lower: Tree, options: MemoryOverlayOptions) {
    this.#lower = lower;
    this.found = options.found;
    this.budget = new Budget(options.maxBytes ?? 2 ** 30, options.onFull);
    this.now = options.now ?? clock;
    this.root = this.wrap(lower.root, '');
    if (this.root.stat.type !== 'directory') {
      throw new VfsError('VFS_NOT_DIRECTORY', 'Cannot overlay a tree whose root is no directory');
    }
  }

  usage(): Usage {
    const blockSize = 4096;
    return {
      blockSize,
      blocks: Math.floor(this.budget.limit / blockSize),
      freeBlocks: Math.floor(this.budget.free / blockSize),
      files: Math.floor(this.budget.limit / NODE_COST),
      freeFiles: Math.floor(this.budget.free / NODE_COST),
    };
  }

  close(): Awaitable<void> {
    return this.#lower.close?.();
  }

  /** A number for a new node. */
  newIno(): number {
    return this.#nextIno++;
  }

  /** The number that a node of the lower tree keeps for good, copied up or not. */
  inoOf(lowerIno: number): number {
    if (lowerIno < FIRST_OWN_INO) return lowerIno;
    let ino = this.#renumbered.get(lowerIno);
    if (ino === undefined) {
      ino = this.newIno();
      this.#renumbered.set(lowerIno, ino);
    }
    return ino;
  }

  /** Whether no change is under way: true, where the lower tree always answers at once. */
  get idle(): boolean {
    return this.#tail === undefined;
  }

  /** A node that is in use or changed. */
  node(ino: number): OverlayNode | undefined {
    return this.#nodes.get(ino);
  }

  save({ brief = false }: SaveOverlayOptions = {}): OverlayState {
    return {
      nextIno: this.#nextIno,
      renumbered: [...this.#renumbered],
      used: this.budget.used,
      ...saveOverlay(this, this.#nodes.values(), brief),
    };
  }

  async restore(
    { nextIno, renumbered, used, ...nodes }: OverlayState,
    store?: ChunkStore,
  ): Promise<void> {
    this.store = store;
    for (const [lower, own] of renumbered) this.#renumbered.set(lower, own);
    await flow(() => restoreNodes(this, nodes));
    this.#nextIno = nextIno;
    this.budget.force(used - this.budget.used);
  }

  changes(options: Omit<LayerBetweenOptions, 'isSame'> = {}): Promise<Tree> {
    const isSame = (lower: TreeNode, upper: TreeNode) => {
      if (this.inoOf(lower.stat.ino) !== upper.stat.ino) return false;
      return (upper as OverlayNode).changed ? undefined : true;
    };
    return layerBetween(this.#lower, this, { ...options, isSame });
  }

  /** The node that stands for a node of the lower tree, found at a path there. */
  wrap(lower: TreeNode, lowerPath: string): OverlayNode {
    const { stat } = lower;
    const ino = this.inoOf(stat.ino);
    const known = this.#nodes.get(ino);
    if (known !== undefined) return known;
    const own = ino === stat.ino ? stat : { ...stat, ino };
    const node = new OverlayNode(this, own, lower, lowerPath);
    this.#nodes.set(ino, node);
    return node;
  }

  keep(node: OverlayNode): void {
    this.#nodes.set(node.stat.ino, node);
  }

  forget(node: OverlayNode): void {
    if (this.#nodes.get(node.stat.ino) === node) this.#nodes.delete(node.stat.ino);
  }

  /** Runs a change of several steps as {@link exclusive} does. */
  change<T>(steps: () => Flow<T>): Awaitable<T> {
    return this.exclusive(() => flow(steps));
  }

  /**
   * Runs a change after those before it. Over a lower tree that answers at once nothing ever waits;
   * over one that does not, changes must not see each other half-made.
   */
  exclusive<T>(run: () => Awaitable<T>): Awaitable<T> {
    const running = this.#tail === undefined ? run() : this.#tail.then(run);
    if (!isPromise(running)) return running;
    const done = running.then(ignore, ignore);
    this.#tail = done;
    done.then(() => {
      if (this.#tail === done) this.#tail = undefined;
    });
    return running;
  }
}

function ignore(): void {}

function clock(): Timestamp {
  const now = Date.now();
  const seconds = Math.floor(now / 1000);
  return { seconds, nanoseconds: (now - seconds * 1000) * 1e6 };
}
