import type { TarIndex } from '@anole/erofs';
import { findNode, type Tree, type TreeNode, VfsError } from '@anole/vfs';
import type { ByteRange } from './cache/ranges.ts';
import type { Trace } from './trace.ts';

/**
 * Adds where the parts of files lie that a trace names, device by device. What the tree does not have, or has elsewhere,
 * is left out.
 *
 * @param ranges of each device, in the order in which they are read
 */
export async function addRanges(
  { tree, external }: TarIndex,
  trace: Trace,
  ranges: readonly ByteRange[][],
  signal?: AbortSignal,
): Promise<void> {
  for (const { path, offset, length } of trace) {
    signal?.throwIfAborted();
    const node = await nodeAt(tree, path);
    const place = node && external.locate(node);
    if (place === undefined) continue;
    const start = place.offset + offset;
    ranges[place.device]?.push([start, start + length]);
  }
}

/** A trace may be another version's. */
async function nodeAt(tree: Tree, path: string): Promise<TreeNode | undefined> {
  try {
    return await findNode(tree, path);
  } catch (error) {
    if (error instanceof VfsError) return undefined;
    throw error;
  }
}
