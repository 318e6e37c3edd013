import {
  type Awaitable,
  type CallOptions,
  chain,
  encodeName,
  isPromise,
  Pacer,
} from '@anole/bytes';
import type { DirectoryEntry, Tree, TreeNode } from '@anole/vfs';
import { NAME_MAX } from '../layout/dirent.ts';
import { cannotStore, changed } from './cannot-store.ts';
import { chunksOf } from './chunks.ts';
import { digestOf } from './digests.ts';
import { directorySize, nameLength, sortNames } from './directory.ts';
import { type Found, Inode } from './inode.ts';
import type { Settings } from './options.ts';
import type { XattrPool } from './xattrs.ts';

/**
 * Reads a whole tree but for the data of its files. The result is in the order in which inodes are
 * laid out: the root, then the children of one directory after those of another.
 *
 * @throws ErofsError `EROFS_CANNOT_STORE`
 */
export async function scan(
  tree: Tree,
  settings: Settings,
  pool: XattrPool,
  call: CallOptions,
): Promise<Inode[]> {
  const scanner = new Scanner(settings, pool, call);
  await scanner.run(tree);
  return scanner.inodes;
}

/** Names between looks at the clock: many are gone through in the time that a look takes. */
const PACE = 16;

/** The attribute that holds the label of SELinux. */
const LABEL = 'security.selinux';

class Scanner {
  readonly inodes: Inode[] = [];
  readonly #settings: Settings;
  readonly #pool: XattrPool;
  readonly #call: CallOptions;
  readonly #pacer = new Pacer();
  readonly #make = Inode.maker(1);
  /** Directories, and what has several names. */
  readonly #byIno = new Map<number, Inode>();

  constructor(settings: Settings, pool: XattrPool, call: CallOptions) {
    this.#settings = settings;
    this.#pool = pool;
    this.#call = call;
  }

  async run(tree: Tree): Promise<void> {
    const root = await this.#add(tree.root, '/', undefined);
    if (root.type !== 'directory') throw cannotStore('/', `the root is a ${root.type}`);
    const pending: [directory: Inode, parent: Inode][] = [[root, root]];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [inode, parent] = next;
      const turn = this.#pacer.turn();
      if (turn) await turn;
      const subdirectories = await this.#directory(inode, parent);
      // Last in, first out: the first subdirectory is next.
      for (const child of subdirectories.reverse()) pending.push([child, inode]);
      const done = this.inodes.length;
      this.#call.onProgress?.({ step: 'scan files', done, unit: 'items', detail: inode.path });
    }
  }

  async #directory(inode: Inode, parent: Inode): Promise<Inode[]> {
    const entries = new EntriesByName(await this.#listed(inode));
    const { listDots } = this.#settings;
    const names = sortNames([...(listDots ? ['.'] : []), '..', ...entries.names()]);
    const children: Inode[] = [];
    const subdirectories: Inode[] = [];
    // What may let go of its node, side by side.
    const found: DirectoryEntry[] = [];
    const files: Inode[] = [];
    for (const name of names) {
      if (name === '.' || name === '..') {
        children.push(name === '.' ? inode : parent);
        continue;
      }
      checkName(name, inode);
      const entry = entries.get(name);
      const known = this.#byIno.get(entry.ino);
      const added = known ?? this.#child(inode, entry);
      const child = isPromise(added) ? await added : added;
      children.push(child);
      const turn = children.length % PACE === 0 && this.#pacer.turn();
      if (turn) await turn;
      this.#call.signal?.throwIfAborted();
      if (child.type !== 'directory') {
        child.nlink++;
        if (!known && entry.node) {
          found.push(entry);
          files.push(child);
        }
        continue;
      }
      if (known) {
        throw cannotStore(pathIn(inode, name), `it is the directory ${known.path} again`);
      }
      subdirectories.push(child);
    }
    const nodes = inode.node.condense?.(found);
    inode.directory = { parent, names, children, ...(nodes && { nodes }) };
    if (nodes) for (const [place, child] of files.entries()) child.release(place);
    inode.nlink = 2 + subdirectories.length;
    inode.size = directorySize(names, this.#settings.blockSize);
    return subdirectories;
  }

  async #listed(inode: Inode): Promise<readonly DirectoryEntry[]> {
    const { list, exclude } = this.#settings;
    const listed = list(inode.node);
    const all = isPromise(listed) ? await listed : listed;
    return exclude ? all.filter(({ name }) => !exclude(pathIn(inode, name).slice(1))) : all;
  }

  #child(above: Inode, { name, node }: DirectoryEntry): Awaitable<Inode> {
    if (node) return this.#add(node, name, above);
    return chain(above.node.lookup(name), (found) => {
      if (found === undefined) throw changed(pathIn(above, name), 'it is gone');
      return this.#add(found, name, above);
    });
  }

  #add(node: TreeNode, name: string, above: Inode | undefined): Awaitable<Inode> {
    const { owners, time } = this.#settings;
    const { stat } = node;
    const found: Found = {
      node,
      type: stat.type,
      mode: stat.mode,
      uid: (owners.uid ?? stat.uid) + (owners.uidOffset ?? 0),
      gid: (owners.gid ?? stat.gid) + (owners.gidOffset ?? 0),
      size: stat.type === 'file' ? stat.size : 0,
      mtime: time ?? stat.mtime,
      rdev: stat.rdev,
      name,
      above,
    };
    checkFound(found);
    const inode = this.#make(found);
    this.inodes.push(inode);
    const hasNames = stat.nlink > 1 && !this.#settings.hardDereference;
    if (stat.type === 'directory' || hasNames) this.#byIno.set(stat.ino, inode);
    const details = this.#details(inode);
    return isPromise(details) ? details.then(() => inode) : inode;
  }

  /** What must be asked for, and takes waiting in some trees. */
  #details(inode: Inode): Awaitable<void> {
    const { node, type } = inode;
    const given = this.#xattrsOf(node);
    const set = isPromise(given)
      ? given.then((found) => found && this.#setXattrs(inode, found))
      : given && this.#setXattrs(inode, given);
    const attributes = type === 'file' ? this.#digest(inode, set) : set;
    if (type === 'symlink') {
      return chain(attributes, () => chain(node.readLink(), (target) => setTarget(inode, target)));
    }
    // A hole of less than a block cannot be kept.
    const { blockSize } = this.#settings;
    if (type !== 'file' || node.extents === undefined || inode.size <= blockSize) return attributes;
    return chain(attributes, () =>
      chain(node.extents!(), (extents) => {
        inode.chunks = chunksOf(inode.size, extents, blockSize);
      }),
    );
  }

  /** Adds the digest of a file, where it is to have one, to what is set first. */
  #digest(inode: Inode, set: Awaitable<void>): Awaitable<void> {
    const { digests } = this.#settings;
    if (digests === undefined || inode.size === 0) return set;
    return chain(set, async () => {
      this.#call.signal?.throwIfAborted();
      inode.xattrs = this.#pool.withOwn(inode.xattrs, await digestOf(inode, digests));
    });
  }

  /** Undefined where none can be. */
  #xattrsOf(node: TreeNode): Awaitable<ReadonlyMap<string, Uint8Array> | undefined> {
    const { xattrs, label, marks } = this.#settings;
    const found = xattrs
      ? node.xattrs()
      : label || marks
        ? new Map<string, Uint8Array>()
        : undefined;
    return marks ? chain(found, (given) => marks.xattrs(node, given)) : found;
  }

  #setXattrs(inode: Inode, found: ReadonlyMap<string, Uint8Array>): void {
    const { label, digests } = this.#settings;
    const named = label ? labelled(found, label(inode.path, inode.type)) : found;
    const attributes = digests ? without(named, digests.name) : named;
    if (attributes.size > 0) inode.xattrs = this.#pool.itemsOf(attributes, inode.path);
  }
}

/** Attributes with another label, or none. As mkfs.erofs has it: without a zero at its end. */
function labelled(
  found: ReadonlyMap<string, Uint8Array>,
  label: string | undefined,
): ReadonlyMap<string, Uint8Array> {
  const attributes = new Map(found);
  attributes.delete(LABEL);
  if (label !== undefined) attributes.set(LABEL, encodeName(label));
  return attributes;
}

function without(
  attributes: ReadonlyMap<string, Uint8Array>,
  name: string,
): ReadonlyMap<string, Uint8Array> {
  if (!attributes.has(name)) return attributes;
  return new Map([...attributes].filter(([other]) => other !== name));
}

function setTarget(inode: Inode, text: string): void {
  const target = encodeName(text);
  if (target.length === 0) throw cannotStore(inode.path, 'its target is empty');
  inode.target = target;
  inode.size = target.length;
}

function pathIn(directory: Inode, name: string): string {
  return directory.above === undefined ? `/${name}` : `${directory.path}/${name}`;
}

function pathOf(name: string, above: Inode | undefined): string {
  return above === undefined ? name : pathIn(above, name);
}

/** Entries of a directory, which are mostly asked for in the order in which they were listed. */
class EntriesByName {
  readonly #listed: readonly DirectoryEntry[];
  #next = 0;
  #byName: Map<string, DirectoryEntry> | undefined;

  constructor(listed: readonly DirectoryEntry[]) {
    this.#listed = listed;
  }

  names(): string[] {
    return this.#listed.map(({ name }) => name);
  }

  get(name: string): DirectoryEntry {
    const next = this.#listed[this.#next++];
    if (next?.name === name) return next;
    this.#byName ??= new Map(this.#listed.map((entry) => [entry.name, entry]));
    return this.#byName.get(name)!;
  }
}

function checkName(name: string, directory: Inode): void {
  const length = nameLength(name);
  if (length === 0 || name.includes('/') || name.includes('\0')) {
    throw cannotStore(pathIn(directory, name), 'its name is not one path component');
  }
  if (length <= NAME_MAX) return;
  const reason = `its name has ${length} bytes, at most 255 fit`;
  throw cannotStore(pathIn(directory, name), reason);
}

function checkFound({ size, uid, gid, mode, mtime, rdev, name, above }: Found): void {
  const fits =
    Number.isSafeInteger(size) &&
    size >= 0 &&
    uid >= 0 &&
    uid <= 0xffffffff &&
    gid >= 0 &&
    gid <= 0xffffffff &&
    (mode & ~0o7777) === 0 &&
    Number.isSafeInteger(mtime.seconds) &&
    mtime.nanoseconds >= 0 &&
    mtime.nanoseconds < 1e9;
  if (!fits) throw cannotStore(pathOf(name, above), 'its attributes are out of range');
  if (rdev && (rdev.major > 0xfff || rdev.minor > 0xfffff)) {
    throw cannotStore(pathOf(name, above), `its device number is ${rdev.major}:${rdev.minor}`);
  }
}
