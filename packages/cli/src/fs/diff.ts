import { createHash } from 'node:crypto';
import {
  type Aspect,
  type CompareOptions,
  compareTrees,
  type Difference,
  findNode,
  renderDifference,
  type Tree,
  VfsError,
} from '@anole/vfs';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { aspects } from './diff-options.ts';
import { openTree } from './open-tree.ts';

interface DiffFlags {
  readonly ignore?: readonly string[];
  readonly times: string;
  readonly exclude?: readonly string[];
  readonly brief?: boolean;
  readonly hashes?: boolean;
}

/** 0 where the trees are the same, 1 where they differ, as diff(1) has it. */
export async function diffAction(
  context: CommandContext,
  left: string,
  right: string,
  flags: DiffFlags,
): Promise<number> {
  const options = optionsOf(flags, context);
  await using a = await openTree(left, context);
  await using b = await openTree(right, context);
  const list: Record<string, unknown>[] = [];
  const paths = new Set<string>();
  let count = 0;
  for await (const difference of compareTrees(a.tree, b.tree, options)) {
    count++;
    const isNew = !paths.has(difference.path);
    // Differences of one path come together: more need not be remembered.
    if (isNew) paths.clear();
    paths.add(difference.path);
    const hashes = flags.hashes ? await hashesOf(difference, a.tree, b.tree, context) : undefined;
    if (context.json) list.push({ ...difference, path: `/${difference.path}`, ...hashes });
    else if (flags.brief) {
      if (isNew) context.out(nameOf(difference));
    } else context.out(renderDifference(difference) + (hashes ? hashText(hashes) : ''));
  }
  context.endProgress();
  if (context.json) context.out(JSON.stringify(list, null, 2));
  return count > 0 ? 1 : 0;
}

function optionsOf(flags: DiffFlags, context: CommandContext): CompareOptions {
  const { signal, progress } = context;
  const ignore = (flags.ignore ?? []).flatMap((text) => text.split(','));
  const unknown = ignore.find((name) => !Object.hasOwn(aspects, name));
  if (unknown !== undefined) {
    const known = Object.keys(aspects).join(', ');
    throw usageError(`Cannot ignore ${unknown}: give some of ${known}`, 'fs diff');
  }
  const { times } = flags;
  if (times !== 'nanoseconds' && times !== 'microseconds' && times !== 'seconds') {
    throw usageError(`Cannot compare times by ${times}: give seconds`, 'fs diff');
  }
  const excluded = new Set((flags.exclude ?? []).map((path) => path.replace(/^\/+|\/+$/g, '')));
  return {
    signal,
    onProgress: progress,
    ignore: ignore as Aspect[],
    times,
    ...(excluded.size > 0 && { filter: (path) => !excluded.has(path) }),
  };
}

/** The path with the least that says what is the matter with it. */
function nameOf(difference: Difference): string {
  const { path, aspect, a } = difference;
  if (aspect !== 'presence')
    return renderDifference({ path, aspect, a: '', b: '' }).replace(/: .*$/s, ': differs');
  return renderDifference(
    a === undefined ? { path, aspect, b: '' } : { path, aspect, a: '' },
  ).replace(/ \(.*$/s, '');
}

interface Hashes {
  readonly sha256A: string;
  readonly sha256B: string;
}

/** Of files whose contents or sizes differ. */
async function hashesOf(
  { path, aspect }: Difference,
  a: Tree,
  b: Tree,
  { signal }: CommandContext,
): Promise<Hashes | undefined> {
  if (aspect !== 'content' && aspect !== 'size') return undefined;
  return { sha256A: await hashOf(a, path, signal), sha256B: await hashOf(b, path, signal) };
}

const CHUNK = 1024 * 1024;

async function hashOf(tree: Tree, path: string, signal: AbortSignal): Promise<string> {
  const node = await findNode(tree, path, { followSymlinks: false });
  if (node === undefined) throw new VfsError('VFS_NOT_FOUND', `Cannot find /${path}: it is gone`);
  const hash = createHash('sha256');
  for (let at = 0; at < node.stat.size; at += CHUNK) {
    signal.throwIfAborted();
    hash.update(await node.read(at, CHUNK));
  }
  return hash.digest('hex');
}

function hashText({ sha256A, sha256B }: Hashes): string {
  return `\n  sha256 ${sha256A}\n         ${sha256B}`;
}
