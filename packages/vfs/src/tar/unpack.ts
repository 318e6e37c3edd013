import { type Awaitable, chain, isPromise, memorySource, type Source } from '@anole/bytes';
import { VfsError } from '../errors.ts';
import type { Attributes, FileContent, MemoryNode } from '../memory-node.ts';
import { MemoryTree } from '../memory-tree.ts';
import { sliceSource } from '../slice.ts';
import type { TarEntry, TarMember, TarOptions } from './entry.ts';
import { atMember, TarError } from './errors.ts';
import { readTar } from './reader.ts';
import { sparseContent } from './sparse-content.ts';

export interface UnpackTarOptions extends TarOptions {
  /** Members for which it is false are passed over, contents unread. */
  filter?(entry: TarEntry): boolean;
  /**
   * Keeps a file's stored bytes (`entry.stored()`) and gives them back as a Source of
   * `entry.storedSize` bytes. Without it they stay in memory, or in the Source that is read.
   */
  store?(entry: TarEntry): Awaitable<Source>;
  /**
   * What happens where a directory is to be put and one is there. `update` (default) gives it the
   * member's attributes, and a symbolic link gives way, as tar does; `keep` leaves it, and a
   * symbolic link to a directory too, as dpkg does.
   */
  readonly directories?: 'update' | 'keep';
}

/**
 * Unpacks a tar archive into a tree, over what is there. A path through a symbolic link to a
 * directory lands in its target, inside the tree only.
 *
 * Of a stream, contents stay in memory and alias its chunks. Of a Source they stay where they are:
 * the tree then reads from it, and it must stay open.
 *
 * @throws TarError, VfsError (a file in the place of a directory: `VFS_IS_DIRECTORY`, and so on), in
 * `details.position` the byte at which the member begins. What came before the error stays in the tree.
 */
export async function unpackTar(
  tree: MemoryTree,
  from: AsyncIterable<Uint8Array> | Source,
  options: UnpackTarOptions = {},
): Promise<void> {
  const put = entryPutter(tree, from, options);
  await eachMember(from, options, put);
}

/** Has members taken one after another, but for those that the filter leaves out. Errors say where the member begins. */
export async function eachMember(
  from: AsyncIterable<Uint8Array> | Source,
  options: TarOptions & Pick<UnpackTarOptions, 'filter'>,
  take: (entry: TarEntry) => Awaitable<unknown>,
): Promise<void> {
  for await (const entry of readTar(from, options)) {
    if (options.filter && !options.filter(entry)) continue;
    try {
      const done = take(entry);
      if (isPromise(done)) await done;
    } catch (error) {
      throw atMember(error, entry.headerOffset);
    }
  }
}

/** What puts one member of the archive into the tree, and gives its node. */
export function entryPutter(
  tree: MemoryTree,
  from: AsyncIterable<Uint8Array> | Source,
  options: UnpackTarOptions,
): (entry: TarEntry) => Awaitable<MemoryNode> {
  const source = Symbol.asyncIterator in from ? undefined : from;
  const store = (entry: TarEntry) => options.store?.(entry) ?? storedOf(entry, source);
  return memberPutter(tree, store, options.directories);
}

/** What puts a member whose stored bytes `store` keeps. */
export function memberPutter<M extends TarMember>(
  tree: MemoryTree,
  store: (member: M) => Awaitable<Source>,
  directories: 'update' | 'keep' = 'update',
): (member: M) => Awaitable<MemoryNode> {
  return (member) => {
    const { type } = member;
    if (type !== 'file') return putNode(tree, member, type, directories);
    return chain(store(member), (content) => putFile(tree, member, content));
  };
}

/** The Tree of a tar archive. See {@link unpackTar}. */
export async function treeFromTar(
  from: AsyncIterable<Uint8Array> | Source,
  options: UnpackTarOptions = {},
): Promise<MemoryTree> {
  const tree = new MemoryTree();
  await unpackTar(tree, from, options);
  return tree;
}

function storedOf(entry: TarEntry, source: Source | undefined): Awaitable<Source> {
  if (source) return sliceSource(source, entry.dataOffset, entry.storedSize);
  return chain(entry.storedBytes(), memorySource);
}

function putFile(tree: MemoryTree, entry: TarMember, stored: Source): MemoryNode {
  const content: FileContent = entry.extents
    ? sparseContent(stored, entry.extents, entry.size)
    : stored;
  return tree.putFile(entry.path, content, attributesOf(entry));
}

function putNode(
  tree: MemoryTree,
  entry: TarMember,
  type: Exclude<TarMember['type'], 'file'>,
  directories: 'update' | 'keep',
): MemoryNode {
  const { path } = entry;
  switch (type) {
    case 'hardlink':
      return putHardLink(tree, entry);
    case 'directory':
      return putDirectory(tree, entry, directories);
    case 'symlink':
      return tree.putSymlink(path, entry.target, attributesOf(entry));
    default:
      return tree.putSpecial(path, type, attributesOf(entry));
  }
}

function putDirectory(
  tree: MemoryTree,
  entry: TarMember,
  directories: 'update' | 'keep',
): MemoryNode {
  if (directories === 'keep' && entry.path !== '') {
    const there = tree.find(entry.path);
    if (there?.type === 'directory') return there;
  } else if (tree.find(entry.path, { followSymlinks: false })?.type === 'symlink') {
    tree.remove(entry.path);
  }
  return tree.putDirectory(entry.path, attributesOf(entry));
}

function putHardLink(tree: MemoryTree, entry: TarMember): MemoryNode {
  try {
    return tree.putLink(entry.path, entry.target);
  } catch (error) {
    if (!(error instanceof VfsError) || error.code === 'VFS_IS_DIRECTORY') throw error;
    throw new TarError(
      'TAR_BAD_LINK',
      `Cannot unpack the tar member ${entry.path}: it is a hard link to ${entry.target}, which is not there to be linked`,
      { cause: error },
    );
  }
}

function attributesOf(entry: TarMember): Attributes {
  const { mode, uid, gid, mtime, xattrs, rdev } = entry;
  return { mode, uid, gid, mtime, xattrs, ...(rdev && { rdev }) };
}
