import type { CallOptions } from '@anole/bytes';
import { VfsError } from './errors.ts';
import type { FileContent } from './memory-node.ts';
import type { MemoryTree } from './memory-tree.ts';
import type { Tree, TreeNode } from './tree.ts';
import { type WalkEntry, type WalkOptions, walk } from './walk.ts';
import type { WritableNode, WritableTree } from './writable.ts';

export interface CopyOptions extends CallOptions, Pick<WalkOptions, 'filter'> {
  /** Directory of the target that the source's root becomes. Default its root. */
  readonly at?: string;
}

/**
 * Puts all of a tree into a tree in memory, over what is there. Contents are not read: they stay in
 * the source, which must stay open.
 *
 * @throws VfsError as of MemoryTree's methods.
 */
export async function graftTree(
  from: Tree,
  to: MemoryTree,
  options: CopyOptions = {},
): Promise<void> {
  const at = options.at ?? '';
  let done = 0;
  for await (const entry of walk(from, options)) {
    options.onProgress?.({
      step: 'copy',
      done: ++done,
      unit: 'items',
      detail: entry.path,
    });
    await graft(entry, to, at);
  }
}

async function graft({ path, node, linkTo }: WalkEntry, to: MemoryTree, at: string): Promise<void> {
  const goal = `${at}/${path}`;
  const { stat } = node;
  if (linkTo !== undefined) {
    to.putLink(goal, `${at}/${linkTo}`);
    return;
  }
  const { mode, uid, gid, mtime, rdev } = stat;
  const attributes = { mode, uid, gid, mtime, xattrs: await node.xattrs(), ...(rdev && { rdev }) };
  if (stat.type === 'directory') to.putDirectory(goal, attributes);
  else if (stat.type === 'file') to.putFile(goal, await nodeContent(node), attributes);
  else if (stat.type === 'symlink') to.putSymlink(goal, await node.readLink(), attributes);
  else to.putSpecial(goal, stat.type, attributes);
}

/** The bytes of a file of any tree, as a Source. Holes stay known. */
export async function nodeContent(node: TreeNode): Promise<FileContent> {
  const extents = await node.extents?.();
  return {
    size: node.stat.size,
    read: (offset, length) => node.read(offset, length),
    ...(extents && { extents }),
  };
}

/** Bytes of a file copied at once. */
const CHUNK = 1024 * 1024;

/**
 * Copies a tree, contents and all, into a tree that can be written. What is there must not be in
 * the way: directories are merged, other names must be free. The target's directory must exist.
 *
 * @throws VfsError as of the target's methods; `VFS_NOT_FOUND` where `at` is no directory.
 */
export async function copyTree(
  from: Tree,
  to: WritableTree,
  options: CopyOptions = {},
): Promise<void> {
  const made = new Map<string, WritableNode>();
  const directories: { readonly source: TreeNode; readonly goal: WritableNode }[] = [];
  let bytes = 0;
  for await (const { path, node, linkTo } of walk(from, options)) {
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    const parent = made.get(path.slice(0, Math.max(slash, 0)));
    if (parent === undefined) {
      // The first entry, the root: the parents of all others have been made before them.
      const root = await directoryAt(to.root, options.at ?? '');
      made.set('', root);
      directories.push({ source: node, goal: root });
      continue;
    }
    if (linkTo !== undefined) {
      await parent.link(name, made.get(linkTo)!);
      continue;
    }
    const goal = await create(parent, name, node);
    if (node.stat.type === 'directory') directories.push({ source: node, goal });
    if (node.stat.type === 'directory' || node.stat.nlink > 1) made.set(path, goal);
    for await (const count of copyContent(node, goal, options.signal)) {
      bytes += count;
      options.onProgress?.({ step: 'copy', done: bytes, unit: 'bytes', detail: path });
    }
    if (node.stat.type !== 'directory') await copyAttributes(node, goal);
  }
  // Making names changes the times of directories, so theirs come last.
  for (const { source, goal } of directories.reverse()) await copyAttributes(source, goal);
}

async function directoryAt(root: WritableNode, path: string): Promise<WritableNode> {
  let node: WritableNode | undefined = root;
  for (const part of path.split('/')) {
    if (part !== '') node = await node?.lookup(part);
  }
  if (node?.stat.type === 'directory') return node;
  throw new VfsError('VFS_NOT_FOUND', `Cannot copy into ${path}: there is no such directory`);
}

async function create(parent: WritableNode, name: string, source: TreeNode): Promise<WritableNode> {
  const { type, mode, uid, gid, rdev } = source.stat;
  if (type === 'directory') {
    const there = await parent.lookup(name);
    if (there?.stat.type === 'directory') return there;
  }
  const target = type === 'symlink' ? await source.readLink() : undefined;
  return parent.create(name, {
    type,
    mode,
    uid,
    gid,
    ...(rdev && { rdev }),
    ...(target !== undefined && { target }),
  });
}

async function* copyContent(
  source: TreeNode,
  goal: WritableNode,
  signal: AbortSignal | undefined,
): AsyncGenerator<number> {
  const { type, size } = source.stat;
  if (type !== 'file') return;
  await goal.change({ size });
  const extents = (await source.extents?.()) ?? [{ offset: 0, length: size }];
  for (const { offset, length } of extents) {
    for (let at = offset; at < offset + length; ) {
      signal?.throwIfAborted();
      const bytes = await source.read(at, Math.min(CHUNK, offset + length - at));
      if (bytes.length === 0)
        throw new VfsError('VFS_IO', `Cannot copy a file: it ends at byte ${at} of ${size}`);
      await goal.write(at, bytes);
      at += bytes.length;
      yield bytes.length;
    }
  }
}

async function copyAttributes(source: TreeNode, goal: WritableNode): Promise<void> {
  const { mode, uid, gid, mtime, type } = source.stat;
  for (const [name, value] of await source.xattrs()) await goal.setXattr(name, value);
  await goal.change(type === 'symlink' ? { uid, gid, mtime } : { mode, uid, gid, mtime });
}
