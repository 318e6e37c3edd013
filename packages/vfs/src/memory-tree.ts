import { VfsError } from './errors.ts';
import { type FindOptions, MAX_LINKS, tooManyLinks } from './find.ts';
import { type Attributes, type FileContent, MemoryNode } from './memory-node.ts';
import { isName } from './names.ts';
import { splitPath } from './paths.ts';
import type { FileType, Tree } from './tree.ts';

/** What a node other than a directory, a file or a symbolic link can be. */
export type SpecialType = Exclude<FileType, 'directory' | 'file' | 'symlink'>;

/**
 * A Tree that is built up in memory. Contents may lie elsewhere: a file's bytes are a Source, so
 * that memory grows with the number of files, not with their sizes.
 *
 * Paths begin at the root, with or without a slash. On the way to the last component symbolic links
 * are followed, inside the tree only, and directories that are missing are made (0755, owned by
 * root): where `/bin` is a link to `usr/bin`, a file put at `/bin/sh` lands in `/usr/bin/sh`. The
 * last component itself is never followed.
 *
 * Inode numbers count up from 1 in the order of making, so the same calls give the same numbers.
 * Listings are in the order of the names' bytes.
 *
 * @example
 * const tree = new MemoryTree();
 * tree.putFile('etc/hostname', new TextEncoder().encode('anole\n'));
 * tree.putSymlink('bin', 'usr/bin');
 * tree.find('/etc/hostname')?.stat.size; // 6
 */
export class MemoryTree implements Tree {
  readonly root: MemoryNode;
  private lastIno = 0;
  /** The way that was gone last, to where a name was put: those that follow mostly go there, too. */
  private lastParent: { readonly path: string; readonly node: MemoryNode } | undefined;

  constructor(attributes: Attributes = {}) {
    this.root = this.make('directory', attributes);
  }

  /**
   * Makes a directory, or changes the attributes of the one that is there.
   *
   * @throws VfsError `VFS_EXISTS` where something else has the name.
   */
  putDirectory(path: string, attributes: Attributes = {}): MemoryNode {
    const { parent, name } = this.locate(path);
    const there = name === '' ? parent : parent.lookup(name);
    if (there?.type === 'directory') {
      there.change(attributes);
      return there;
    }
    if (there !== undefined) {
      throw new VfsError(
        'VFS_EXISTS',
        `Cannot make the directory ${path}: a ${there.type} is there`,
      );
    }
    return this.attach(parent, name, this.make('directory', attributes));
  }

  /** Puts a file in the place of whatever but a directory has the name. `content` is kept, not copied. */
  putFile(
    path: string,
    content: Uint8Array | FileContent,
    attributes: Attributes = {},
  ): MemoryNode {
    const node = this.replace(path, 'file', attributes);
    node.content = content;
    return node;
  }

  putSymlink(path: string, target: string, attributes: Attributes = {}): MemoryNode {
    if (target === '' || target.includes('\0')) {
      throw new VfsError('VFS_INVALID', `Cannot link ${path} to ${JSON.stringify(target)}`);
    }
    return this.replace(path, 'symlink', attributes, target);
  }

  /** A device (with `rdev`), a fifo or a socket. */
  putSpecial(path: string, type: SpecialType, attributes: Attributes = {}): MemoryNode {
    const rdev = attributes.rdev ?? { major: 0, minor: 0 };
    const isDevice = type === 'block' || type === 'character';
    return this.replace(path, type, isDevice ? { ...attributes, rdev } : attributes);
  }

  /**
   * Gives the node at `existing` (not followed if it is a symbolic link) another name.
   *
   * @throws VfsError `VFS_NOT_FOUND`, and `VFS_NOT_PERMITTED` for a directory.
   */
  putLink(path: string, existing: string): MemoryNode {
    const node = this.find(existing, { followSymlinks: false });
    if (node === undefined) throw notFound(existing);
    if (node.type === 'directory') {
      throw new VfsError(
        'VFS_NOT_PERMITTED',
        `Cannot link ${path} to ${existing}: it is a directory`,
      );
    }
    const { parent, name } = this.locate(path);
    if (parent.children?.get(name) === node) return node;
    this.makeRoom(path, parent, name);
    return this.attach(parent, name, node);
  }

  /**
   * Removes a name; a directory that is not empty only with `recursive`.
   *
   * @throws VfsError `VFS_NOT_FOUND`, `VFS_NOT_EMPTY`
   */
  remove(path: string, options: { readonly recursive?: boolean } = {}): void {
    const { parent, name, node } = this.existing(path);
    if (node.children?.size && !options.recursive) {
      throw new VfsError('VFS_NOT_EMPTY', `Cannot remove ${path}: the directory is not empty`);
    }
    detachAll(node);
    this.detach(parent, name);
  }

  /**
   * Moves a node to another name, in the place of whatever but a directory has it.
   *
   * @throws VfsError `VFS_NOT_FOUND`, `VFS_IS_DIRECTORY`, and `VFS_INVALID` where a directory would
   * land inside itself.
   */
  move(from: string, to: string): void {
    const { parent, name, node } = this.existing(from);
    // Told before any directory is made for it.
    if (contains(node, this.deepest(to))) throw insideItself(from, to);
    const goal = this.locate(to);
    if (goal.parent === parent && goal.name === name) return;
    if (contains(node, goal.parent)) throw insideItself(from, to);
    this.makeRoom(to, goal.parent, goal.name);
    this.detach(parent, name);
    goal.parent.attach(goal.name, node);
  }

  /** The node at a path, or undefined. As `findNode`, at once. */
  find(path: string, options: FindOptions = {}): MemoryNode | undefined {
    const { followSymlinks = true } = options;
    const { before, last } = cut(path);
    if (this.lastParent?.path === before && isName(last)) {
      const node = this.lastParent.node.children?.get(last);
      if (node?.type !== 'symlink' || !followSymlinks) return node;
    }
    return this.walk(splitPath(path), path, followSymlinks, false);
  }

  /** The last directory on the way to a path's parent that is there. */
  private deepest(path: string): MemoryNode {
    const parts = splitPath(path);
    for (parts.pop(); parts.length > 0; parts.pop()) {
      const node = this.walk(parts, path, true, false);
      if (node) return node;
    }
    return this.root;
  }

  private existing(path: string): { parent: MemoryNode; name: string; node: MemoryNode } {
    const parts = splitPath(path);
    const name = parts.pop() ?? '';
    const parent = this.walk(parts, path, true, false);
    const node = parent?.children?.get(name);
    if (parent === undefined || node === undefined) throw notFound(path);
    return { parent, name, node };
  }

  /** The directory a path's last component belongs to, made where it is missing. */
  private locate(path: string): { parent: MemoryNode; name: string } {
    const { before, last } = cut(path);
    if (this.lastParent?.path === before && isName(last)) {
      return { parent: this.lastParent.node, name: last };
    }
    const located = this.locateAnew(path);
    if (located.name === last) this.lastParent = { path: before, node: located.parent };
    return located;
  }

  private locateAnew(path: string): { parent: MemoryNode; name: string } {
    const parts = splitPath(path);
    const name = parts.pop() ?? '';
    if (name === '..' || path.includes('\0')) {
      throw new VfsError('VFS_INVALID', `Cannot put ${JSON.stringify(path)}: that is no name`);
    }
    const parent = this.walk(parts, path, true, true);
    if (parent?.type !== 'directory') {
      throw new VfsError('VFS_NOT_DIRECTORY', `Cannot put ${path}: its parent is no directory`);
    }
    return { parent, name };
  }

  private walk(
    parts: readonly string[],
    path: string,
    followLast: boolean,
    create: boolean,
  ): MemoryNode | undefined {
    const trail = [this.root];
    const todo = parts.toReversed();
    let links = 0;
    for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
      if (part === '..') {
        if (trail.length > 1) trail.pop();
        continue;
      }
      const directory = trail.at(-1)!;
      if (directory.children === undefined) return undefined;
      let node = directory.children.get(part);
      if (node?.type === 'symlink' && (followLast || todo.length > 0)) {
        if (++links > MAX_LINKS) throw tooManyLinks(path);
        if (node.target.startsWith('/')) trail.length = 1;
        todo.push(...splitPath(node.target).reverse());
        continue;
      }
      if (node === undefined && create) {
        node = this.attach(directory, part, this.make('directory', {}));
      }
      if (node === undefined) return undefined;
      trail.push(node);
    }
    return trail.at(-1);
  }

  private replace(
    path: string,
    type: FileType,
    attributes: Attributes,
    target?: string,
  ): MemoryNode {
    const { parent, name } = this.locate(path);
    this.makeRoom(path, parent, name);
    return this.attach(parent, name, this.make(type, attributes, target));
  }

  private makeRoom(path: string, parent: MemoryNode, name: string): void {
    if (name === '' || parent.lookup(name)?.type === 'directory') {
      throw new VfsError('VFS_IS_DIRECTORY', `Cannot put ${path || '/'}: a directory is there`);
    }
    this.detach(parent, name);
  }

  private detach(parent: MemoryNode, name: string): void {
    if (parent.lookup(name) === undefined) return;
    // It may be on the way.
    this.lastParent = undefined;
    parent.detach(name);
  }

  private attach(parent: MemoryNode, name: string, node: MemoryNode): MemoryNode {
    parent.attach(name, node);
    return node;
  }

  private make(type: FileType, attributes: Attributes, target?: string): MemoryNode {
    return new MemoryNode(++this.lastIno, type, attributes, target);
  }
}

/** What lies before a path's last component, and that. */
function cut(path: string): { readonly before: string; readonly last: string } {
  const slash = path.lastIndexOf('/');
  return { before: path.slice(0, Math.max(slash, 0)), last: path.slice(slash + 1) };
}

/** Takes the names below a node away, so that hard links elsewhere count right. */
function detachAll(node: MemoryNode): void {
  for (const directory of directoriesIn(node)) {
    for (const name of [...directory.children!.keys()]) directory.detach(name);
  }
}

function contains(node: MemoryNode, other: MemoryNode): boolean {
  return directoriesIn(node).includes(other);
}

/** A directory and those below it. Without recursion: an archive may nest deeper than the stack. */
function directoriesIn(node: MemoryNode): MemoryNode[] {
  const found = node.children === undefined ? [] : [node];
  for (const directory of found) {
    for (const child of directory.children!.values()) if (child.children) found.push(child);
  }
  return found;
}

function insideItself(from: string, to: string): VfsError {
  return new VfsError('VFS_INVALID', `Cannot move ${from} to ${to}: that is inside itself`);
}

function notFound(path: string): VfsError {
  return new VfsError('VFS_NOT_FOUND', `Cannot find ${path}`, { details: { path } });
}
