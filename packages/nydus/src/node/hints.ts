import type { Source } from '@anole/bytes';
import { type ErofsTree, openErofs } from '@anole/erofs';
import { hostDecoders } from '@anole/host';
import { type LayerRange, MAX_HINTS, type OnDemandHints } from '@anole/oci';
import { findNode, type TreeNode, VfsError } from '@anole/vfs';
import { near } from './cache/ranges.ts';
import type { Trace } from './trace.ts';

/** Ranges are made one where at most so many bytes lie between. */
const GAP = 16 * 1024;
const BLOCK = 4096;
/** Bytes of a traced file read at once. */
const PIECE = 1024 * 1024;

/**
 * Finds what who reads an EROFS image on demand will want first: its metadata, and what a trace names, by
 * reading just that and looking where it lies.
 *
 * @throws ErofsError where the image is damaged
 */
export async function findHints(image: Source, trace: Trace = []): Promise<OnDemandHints> {
  let read: LayerRange[] = [];
  const watched: Source = {
    size: image.size,
    read(offset, length, options) {
      read.push([offset, offset + length]);
      return image.read(offset, length, options);
    },
  };
  const tree = await openErofs(watched, { decoders: hostDecoders });
  await tree.loadMetadata();
  const metadata = joined(read.sort((a, b) => a[0] - b[0]));
  read = [];
  for (const each of trace) await replay(tree, each);
  const seen = new Uint8Array(Math.ceil(image.size / BLOCK));
  for (const [start, end] of metadata)
    seen.fill(1, Math.floor(start / BLOCK), Math.ceil(end / BLOCK));
  // Each is a request.
  const first = near([...unseen(read, seen)], GAP);
  return { metadata: metadata.length > MAX_HINTS ? [] : metadata, first };
}

/** What the image does not have is not read: a trace may be another version's. */
async function replay(tree: ErofsTree, { path, offset, length }: Trace[number]): Promise<void> {
  const node = await nodeAt(tree, path);
  if (node?.stat.type !== 'file') return;
  const end = Math.min(node.stat.size, offset + length);
  for (let at = offset; at < end; at += PIECE) await node.read(at, Math.min(PIECE, end - at));
}

async function nodeAt(tree: ErofsTree, path: string): Promise<TreeNode | undefined> {
  try {
    return await findNode(tree, path);
  } catch (error) {
    if (error instanceof VfsError) return undefined;
    throw error;
  }
}

/** Ranges made one with the one before where they go on there, nearly. */
function joined(ranges: readonly LayerRange[]): LayerRange[] {
  const all: [number, number][] = [];
  for (const [start, end] of ranges) {
    const last = all.at(-1);
    if (last && start >= last[0] && start <= last[1] + GAP) last[1] = Math.max(last[1], end);
    else all.push([start, end]);
  }
  return all;
}

/** The parts of ranges that no range before them has, in blocks. */
function* unseen(ranges: readonly LayerRange[], seen: Uint8Array): Generator<LayerRange> {
  for (const [start, end] of ranges) {
    const last = Math.ceil(end / BLOCK);
    for (let at = Math.floor(start / BLOCK); at < last; at++) {
      if (seen[at] === 1) continue;
      const from = at;
      for (; at < last && seen[at] === 0; at++) seen[at] = 1;
      yield [from * BLOCK, at * BLOCK];
    }
  }
}
