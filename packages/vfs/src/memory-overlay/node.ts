import { type Awaitable, chain, type Flow, flow } from '@anole/bytes';
import { VfsError } from '../errors.ts';
import type { DirectoryEntry, Extent, Stat, TreeNode } from '../tree.ts';
import type { NewNode, RenameOptions, StatChange, WritableNode } from '../writable.ts';
import { ENTRY_COST, NODE_COST } from './budget.ts';
import { FileContent } from './content.ts';
import * as directory from './directory.ts';
import type { NodeState } from './state.ts';
import type { OverlayTree } from './tree.ts';
import * as xattrs from './xattrs.ts';

/** Of all nodes that are no directory. Never written. */
const noNames = new Map<string, OverlayNode | null>();

/**
 * One inode of the overlay: a node of the lower tree, what was changed of it, or both. What is
 * unchanged is asked of the lower node each time and costs no memory.
 */
export class OverlayNode implements WritableNode {
  readonly tree: OverlayTree;
  readonly lower: TreeNode | undefined;
  /** Where the lower node is in the lower tree; '' is its root. */
  readonly lowerPath: string | undefined;
  stat: Stat;
  /** Where a directory was last seen: the way up for the check that a rename makes no loop. */
  parent: OverlayNode | undefined;
  /** Names that differ from the lower directory's: a node, or null where a name is gone. */
  readonly names: Map<string, OverlayNode | null>;
  /** The last listing of a directory, until it changes. */
  listing: readonly DirectoryEntry[] | undefined;
  /** All extended attributes, once one was changed. */
  attributes: Map<string, Uint8Array> | undefined;
  target: string | undefined;
  /** Set on a directory that lost its name: nothing can be made in it. */
  removed = false;
  #content: FileContent | undefined;
  #changed = false;

  constructor(tree: OverlayTree, stat: Stat, lower?: TreeNode, lowerPath?: string) {
    this.tree = tree;
    this.stat = stat;
    this.lower = lower;
    this.lowerPath = lowerPath;
    this.names = stat.type === 'directory' ? new Map() : noNames;
    if (lower === undefined && stat.type === 'file') this.#content = new FileContent(tree.budget);
  }

  /** Makes a node that no lower tree knows, without a name yet. */
  static make(tree: OverlayTree, node: NewNode): OverlayNode {
    const now = tree.now();
    const { type, mode, uid, gid, rdev, target } = node;
    const size = type === 'symlink' ? directory.targetSize(target) : 0;
    const base = { ino: tree.newIno(), type, mode, uid, gid, size, nlink: 0 };
    const times = { mtime: now, atime: now, ctime: now };
    const stat = { ...base, ...times, ...(rdev === undefined ? {} : { rdev }) };
    tree.budget.take(NODE_COST + size);
    const made = new OverlayNode(tree, stat);
    made.target = target;
    made.#changed = true;
    tree.keep(made);
    return made;
  }

  /** From here on the node differs from the lower tree's: it stays in memory. */
  own(): void {
    if (this.#changed) return;
    this.tree.budget.force(NODE_COST);
    this.#changed = true;
    this.tree.keep(this);
  }

  /** Whether it differs from the lower tree's. */
  get changed(): boolean {
    return this.#changed;
  }

  /** Whether all that is known of it is the lower node's. */
  get isLower(): boolean {
    const isPlain = !this.#changed && this.#content === undefined && this.attributes === undefined;
    return isPlain && this.lowerPath !== undefined && this.names.size === 0 && !this.removed;
  }

  /** Changes attributes; the time of change is now. */
  restat(change: Partial<Stat>): void {
    this.own();
    this.stat = { ...this.stat, ctime: this.tree.now(), ...change };
  }

  lookup(name: string): Awaitable<OverlayNode | undefined> {
    return directory.lookup(this, name);
  }

  list(): Awaitable<readonly DirectoryEntry[]> {
    return directory.list(this);
  }

  create(name: string, node: NewNode): Awaitable<OverlayNode> {
    return this.tree.change(() => directory.create(this, name, node));
  }

  createUnnamed(node: NewNode): OverlayNode {
    directory.checkDirectory(this);
    if (node.type !== 'file')
      throw new VfsError('VFS_INVALID', `Cannot make an unnamed ${node.type}`);
    return OverlayNode.make(this.tree, node);
  }

  link(name: string, node: WritableNode): Awaitable<void> {
    return this.tree.change(() => directory.link(this, name, node));
  }

  unlink(name: string): Awaitable<void> {
    return this.tree.change(() => directory.unlink(this, name));
  }

  removeDirectory(name: string): Awaitable<void> {
    return this.tree.change(() => directory.removeDirectory(this, name));
  }

  rename(
    name: string,
    newParent: WritableNode,
    newName: string,
    options: RenameOptions = {},
  ): Awaitable<void> {
    return this.tree.change(() => directory.rename(this, name, newParent, newName, options));
  }

  readLink(): Awaitable<string> {
    if (this.stat.type !== 'symlink') {
      throw new VfsError('VFS_NOT_SYMLINK', `Cannot read the link of a ${this.stat.type}`);
    }
    return this.target ?? this.lower?.readLink() ?? '';
  }

  read(offset: number, length: number): Awaitable<Uint8Array> {
    this.#checkFile('read');
    if (this.#content !== undefined) return this.#content.read(offset, length);
    return this.lower!.read(offset, length);
  }

  /** Of a file that was not changed, where the lower one has it. */
  get readInto(): TreeNode['readInto'] {
    const { lower } = this;
    if (this.#content !== undefined || lower?.readInto === undefined) return undefined;
    return (offset, target) => lower.readInto!(offset, target);
  }

  write(offset: number, bytes: Uint8Array): Awaitable<void> {
    const content = this.#changedContent('write');
    return this.#rewrite(content, content.write(offset, bytes));
  }

  punchHole(offset: number, length: number): Awaitable<void> {
    const content = this.#changedContent('punch a hole into');
    return this.#rewrite(content, content.punch(offset, length));
  }

  change(change: StatChange): Awaitable<void> {
    const { size, ...attributes } = change;
    const content = size === undefined ? undefined : this.#changedContent('resize');
    return this.tree.exclusive(() => {
      if (content !== undefined && size !== undefined) {
        content.resize(size);
        this.#resized(content);
      }
      this.restat(attributes);
    });
  }

  extents(): Awaitable<readonly Extent[]> {
    this.#checkFile('find the holes of');
    if (this.#content !== undefined) return this.#content.extents();
    return this.lower?.extents?.() ?? [{ offset: 0, length: this.stat.size }];
  }

  xattrs(): Awaitable<ReadonlyMap<string, Uint8Array>> {
    return this.attributes ?? this.lower?.xattrs() ?? xattrs.none;
  }

  setXattr(name: string, value: Uint8Array, mode?: 'create' | 'replace'): Awaitable<void> {
    return this.tree.change(() => xattrs.set(this, name, value, mode));
  }

  removeXattr(name: string): Awaitable<void> {
    return this.tree.change(() => xattrs.remove(this, name));
  }

  /** Drops an unchanged node, and the data of one without a name. */
  release(): void {
    if (this === this.tree.root || (this.#changed && this.stat.nlink > 0)) return;
    if (this.#changed) this.#free();
    this.tree.forget(this);
  }

  /** See {@link OverlayTree.save}. */
  save(): NodeState {
    const { stat, lowerPath, attributes, target, removed } = this;
    return {
      stat,
      lowerPath,
      parent: this.parent?.stat.ino,
      names: Array.from(this.names, ([name, node]) => [name, node?.stat.ino ?? null] as const),
      attributes,
      target,
      removed,
      changed: this.#changed,
      content: this.#content?.save(),
    };
  }

  /** Becomes what {@link save} gave of another one. Costs nothing of the budget. */
  restore(state: NodeState, nodeOf: (ino: number) => OverlayNode | undefined): void {
    const { stat, parent, names, attributes, target, removed, changed, content } = state;
    this.stat = stat;
    if (parent !== undefined) this.parent = nodeOf(parent);
    for (const [name, ino] of names) {
      this.names.set(name, ino === null ? null : (nodeOf(ino) ?? null));
    }
    if (attributes !== undefined) this.attributes = new Map(attributes);
    this.target = target;
    this.removed = removed;
    this.#changed = changed;
    if (content !== undefined) {
      const { tree } = this;
      this.#content = FileContent.restore(tree.budget, this.lower, content, tree.store);
    }
  }

  #free(): void {
    let cost = NODE_COST + (this.target === undefined ? 0 : this.stat.size);
    for (const name of this.names.keys()) cost += directory.nameCost(name);
    for (const [name, value] of this.attributes ?? []) {
      cost += ENTRY_COST + name.length + value.length;
    }
    this.#content?.free();
    this.names.clear();
    this.attributes = undefined;
    this.#changed = false;
    this.tree.budget.take(-cost);
  }

  #checkFile(action: string): void {
    const { type } = this.stat;
    if (type === 'file') return;
    const code = type === 'directory' ? 'VFS_IS_DIRECTORY' : 'VFS_NOT_FILE';
    throw new VfsError(code, `Cannot ${action} a ${type}`);
  }

  #changedContent(action: string): FileContent {
    this.#checkFile(action);
    this.own();
    this.#content ??= new FileContent(this.tree.budget, this.lower);
    return this.#content;
  }

  #rewrite(content: FileContent, steps: Flow<void>): Awaitable<void> {
    return this.tree.exclusive(() =>
      chain(
        flow(() => steps),
        () => this.#resized(content),
      ),
    );
  }

  #resized(content: FileContent): void {
    const { size, allocated } = content;
    this.restat({ size, allocated, mtime: this.tree.now() });
  }
}

/** Reads what the lower node says of its attributes, once, to change it here. */
export function ownAttributes(node: OverlayNode): Awaitable<Map<string, Uint8Array>> {
  if (node.attributes !== undefined) return node.attributes;
  return chain(node.lower?.xattrs() ?? xattrs.none, (all) => new Map(all));
}
