import { checkRange, type Flow, flow, type Source, wait } from '@anole/bytes';
import type { FileContent } from '../memory-node.ts';
import type { Extent } from '../tree.ts';

/**
 * A sparse file over its stored bytes.
 *
 * @param stored the bytes of the extents, one after another
 * @param extents in order, within `size`
 */
export function sparseContent(
  stored: Source,
  extents: readonly Extent[],
  size: number,
): FileContent {
  const starts: number[] = [];
  let start = 0;
  for (const { length } of extents) {
    starts.push(start);
    start += length;
  }
  return {
    size,
    extents,
    read(offset, length) {
      checkRange(offset, length, size);
      return flow(() => read(stored, extents, starts, offset, length));
    },
  };
}

function* read(
  stored: Source,
  extents: readonly Extent[],
  starts: readonly number[],
  offset: number,
  length: number,
): Flow<Uint8Array> {
  const out = new Uint8Array(length);
  const end = offset + length;
  for (let at = firstAfter(extents, offset); at < extents.length; at++) {
    const extent = extents[at]!;
    if (extent.offset >= end) break;
    const from = Math.max(extent.offset, offset);
    const to = Math.min(extent.offset + extent.length, end);
    out.set(yield* wait(stored.read(starts[at]! + from - extent.offset, to - from)), from - offset);
  }
  return out;
}

/** Index of the first extent that ends after `offset`. */
function firstAfter(extents: readonly Extent[], offset: number): number {
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { offset: start, length } = extents[middle]!;
    if (start + length > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}
