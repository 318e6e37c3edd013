import { type CallOptions, isPromise } from '@anole/bytes';
import { VfsError } from '../errors.ts';
import type { Extent, Tree, TreeNode } from '../tree.ts';
import { type WalkEntry, walk } from '../walk.ts';
import { padding } from './body.ts';
import { BLOCK } from './layout.ts';
import { type Member, memberHeader, sparseMap } from './member-header.ts';
import { Packer } from './packer.ts';

export interface WriteTarOptions extends CallOptions {
  /** Put before every name. Default `./`, so that the root is `./`. */
  readonly prefix?: string;
  /** Whether holes are left out, in GNU's PAX format 1.0. Default true. */
  readonly sparse?: boolean;
  /** Told of every socket: a tar cannot hold them, so they are left out. */
  onSkip?(path: string, reason: string): void;
  /**
   * Paths for which it is false are left out; directories with all that is below them, but for the root,
   * which is only left out itself.
   */
  filter?(path: string): boolean;
}

/** Bytes of a file read at once. */
const READ = 1024 * 1024;
/** An archive's length is a multiple of this: 20 blocks, tape's habit that GNU tar keeps. */
const RECORD = 20 * BLOCK;

/**
 * Writes a tree as a tar archive. The same tree gives the same bytes: names in the order of
 * {@link walk}, owners by number only, no times but those of the files. The format is ustar, with
 * PAX headers for what it has no room for. Memory does not grow with the sizes of files.
 *
 * @throws TarError `TAR_CANNOT_HOLD`; VfsError of the tree, and `VFS_IO` for a file that is shorter
 * than it said.
 * @example
 * await pipeline(writeTar(tree), createWriteStream('tree.tar'));
 */
export async function* writeTar(
  tree: Tree,
  options: WriteTarOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const packer = new Packer();
  const prefix = options.prefix ?? './';
  for await (const entry of walk(tree, options)) {
    if (entry.path === '' && options.filter?.('') === false) continue;
    if (entry.node.stat.type === 'socket') {
      options.onSkip?.(entry.path, 'a tar cannot hold sockets');
      continue;
    }
    options.onProgress?.({
      step: 'write tar',
      done: packer.position,
      unit: 'bytes',
      detail: entry.path,
    });
    yield* writeMember(packer, entry, prefix, options);
  }
  yield* packer.addZeros(2 * BLOCK);
  yield* packer.addZeros((RECORD - (packer.position % RECORD)) % RECORD);
  yield* packer.end();
}

async function* writeMember(
  packer: Packer,
  entry: WalkEntry,
  prefix: string,
  options: WriteTarOptions,
): AsyncGenerator<Uint8Array> {
  const { node, path, linkTo } = entry;
  const { stat } = node;
  const hasBody = stat.type === 'file' && linkTo === undefined;
  const extents = hasBody && options.sparse !== false ? await holes(node) : undefined;
  const map = extents && sparseMap(extents, stat.size);
  const ranges = extents ?? (hasBody ? [{ offset: 0, length: stat.size }] : []);
  const length = ranges.reduce((sum, range) => sum + range.length, 0);
  const member: Member = {
    name: prefix + path + (stat.type === 'directory' && path !== '' ? '/' : ''),
    stat,
    xattrs: linkTo === undefined ? await node.xattrs() : none,
    link: await linkName(entry, prefix),
    isHardLink: linkTo !== undefined,
    storedSize: length + (map?.length ?? 0),
    ...(extents && { extents }),
  };
  yield* packer.add(memberHeader(member));
  if (map) yield* packer.add(map);
  for (const range of ranges) yield* writeRange(packer, entry, range, options.signal);
  yield* packer.addZeros(padding(length));
}

async function* writeRange(
  packer: Packer,
  { node, path }: WalkEntry,
  range: Extent,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const end = range.offset + range.length;
  for (let at = range.offset; at < end; ) {
    signal?.throwIfAborted();
    const read = node.read(at, Math.min(READ, end - at));
    const bytes = isPromise(read) ? await read : read;
    if (bytes.length === 0) {
      throw new VfsError(
        'VFS_IO',
        `Cannot write ${path} into the tar: it ends at byte ${at} of ${end}`,
      );
    }
    at += bytes.length;
    yield* packer.add(bytes);
  }
}

async function linkName({ node, linkTo }: WalkEntry, prefix: string): Promise<string> {
  if (linkTo !== undefined) return prefix + linkTo;
  return node.stat.type === 'symlink' ? await node.readLink() : '';
}

/** The extents of a file in which at least a block is a hole; undefined for the others. */
async function holes(node: TreeNode): Promise<readonly Extent[] | undefined> {
  const extents = await node.extents?.();
  if (extents === undefined) return undefined;
  const data = extents.reduce((sum, extent) => sum + extent.length, 0);
  return node.stat.size - data >= BLOCK ? extents : undefined;
}

const none: ReadonlyMap<string, Uint8Array> = new Map();
