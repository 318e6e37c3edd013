import { lstatSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { CallOptions } from '@anole/bytes';
import { allFileTypes, firstName, type Tree, type WalkEntry, walk } from '@anole/vfs';
import { HostError, hostError } from './errors.ts';
import type { Elsewhere } from './unpack-elsewhere.ts';
import { type SkippedPart, Unpacking } from './unpacking.ts';

export interface UnpackOptions extends CallOptions {
  /** Whether files get the owners of the tree. Default: when the process is root. */
  readonly owners?: boolean;
  /** Whether extended attributes are set, by `setfattr` (Debian's `attr`). Default true. */
  readonly xattrs?: boolean;
  /** Waits until the data is on the disk before the directory appears. Default false. */
  readonly durable?: boolean;
  /** Who writes most files, in threads. Default: nobody, all is written here. */
  readonly elsewhere?: Elsewhere;
}

export interface UnpackReport {
  /** Names written, the directory itself included. */
  readonly entries: number;
  /** Bytes of files written, holes left out. */
  readonly bytes: number;
  /** False where all files belong to the user instead of to the owners of the tree. */
  readonly owners: boolean;
  /** What this machine or user cannot have: sockets, devices without root, attributes. */
  readonly skipped: readonly SkippedPart[];
}

/**
 * Writes a tree to a directory of this machine, which must not exist or be empty. It appears whole
 * or not at all: the tree is written into a hidden sibling that only the user can enter, and renamed
 * at the end. So nothing the tree holds, and nobody meanwhile, can lead a write elsewhere through a
 * symbolic link.
 *
 * Times are kept to the nanosecond where native calls can be had, else to the microsecond; holes where the tree
 * knows them.
 *
 * @throws HostError `HOST_EXISTS`, `HOST_NO_SPACE`, `HOST_NOT_PERMITTED` and so on; VfsError of the
 * tree, and `VFS_INVALID` for a name that is none.
 * @example
 * const report = await unpackTree(tree, 'root');
 */
export async function unpackTree(
  tree: Tree,
  directory: string,
  options: UnpackOptions = {},
): Promise<UnpackReport> {
  const goal = resolve(directory);
  const action = `unpack into ${directory}`;
  checkGoal(goal);
  let unpacking: Unpacking | undefined;
  try {
    const temporary = mkdtempSync(join(dirname(goal), `.${basename(goal).slice(0, 200)}.`));
    unpacking = new Unpacking(temporary, options);
    await writeAll(unpacking, tree, options);
    unpacking.finish();
    options.signal?.throwIfAborted();
    renameSync(temporary, goal);
    const { owners, skipped } = unpacking;
    const entries = unpacking.entries + (options.elsewhere?.entries ?? 0);
    const bytes = unpacking.bytes + (options.elsewhere?.bytes ?? 0);
    return { entries, bytes, owners, skipped };
  } catch (error) {
    await options.elsewhere?.stop();
    if (unpacking) {
      unpacking.openUp();
      rmSync(unpacking.base, { recursive: true, force: true });
    }
    throw hostError(error, action);
  } finally {
    unpacking?.[Symbol.dispose]();
  }
}

/** Bytes written between two turns of the event loop: so that interrupts are heard. */
const TURN = 16 * 1024 * 1024;

const notFiles = new Set(allFileTypes.filter((type) => type !== 'file'));

async function writeAll(unpacking: Unpacking, tree: Tree, options: UnpackOptions): Promise<void> {
  const { elsewhere } = options;
  const { base, owners } = unpacking;
  elsewhere?.begin({ base, owners, xattrs: options.xattrs ?? true });
  let turnAt = TURN;
  const turn = (path: string): Promise<void> | undefined => {
    options.signal?.throwIfAborted();
    const bytes = unpacking.bytes + (elsewhere?.bytes ?? 0);
    if (bytes < turnAt) return undefined;
    turnAt = bytes + TURN;
    options.onProgress?.({ step: 'unpack', done: bytes, unit: 'bytes', detail: path });
    return setImmediate();
  };
  const copy = async (copying: AsyncIterable<unknown>, path: string): Promise<void> => {
    for await (const _ of copying) await turn(path);
  };
  // Awaiting nothing costs, too.
  const put = (entry: WalkEntry): Promise<void> | undefined => {
    const copying = unpacking.put(entry);
    return copying && copy(copying, entry.path);
  };
  for await (const entry of walk(tree, { ...options, ...(elsewhere && { types: notFiles }) })) {
    const { path, node } = entry;
    const copied = put(entry);
    if (copied) await copied;
    const taken = node.stat.type === 'directory' ? elsewhere?.put(path, node) : undefined;
    if (taken) await taken;
    const turned = turn(path);
    if (turned) await turned;
  }
  const names = new Map<number, string>();
  for (const left of (await elsewhere?.finish()) ?? []) {
    const node = await left.node();
    const linkTo = firstName(names, node, left.path);
    await put({ path: left.path, node, ...(linkTo !== undefined && { linkTo }) });
  }
}

/**
 * Whether `unpackTree` can unpack into a directory, for those who would know before they have what is unpacked.
 *
 * @throws HostError `HOST_EXISTS`
 */
export function checkGoal(goal: string): void {
  const stat = lstatSync(goal, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isDirectory())
    throw new HostError('HOST_EXISTS', `Cannot unpack into ${goal}: it is a file`);
  if (readdirSync(goal).length === 0) return;
  throw new HostError('HOST_EXISTS', `Cannot unpack into ${goal}: it is not empty`, {
    hint: 'Give the name of a directory that does not exist yet.',
  });
}
