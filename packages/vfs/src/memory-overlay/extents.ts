import { type Flow, wait } from '@anole/bytes';
import type { Extent, TreeNode } from '../tree.ts';

/**
 * Ranges of a file that may hold data, in order: the chunks in memory, and between them what the
 * lower file (up to `lowerEnd`) says of itself.
 */
export function* dataRanges(
  chunks: ReadonlyMap<number, { readonly length: number }>,
  chunkSize: number,
  size: number,
  lower: TreeNode | undefined,
  lowerEnd: number,
): Flow<readonly Extent[]> {
  const below = lower === undefined || lowerEnd === 0 ? [] : yield* lowerRanges(lower, lowerEnd);
  const indexes = [...chunks.keys()].sort((a, b) => a - b);
  const ranges = new Ranges();
  let covered = 0;
  for (const index of indexes) {
    ranges.addWithin(below, covered, index * chunkSize);
    const length = chunks.get(index)?.length ?? 0;
    ranges.add(index * chunkSize, Math.min(index * chunkSize + length, size));
    covered = (index + 1) * chunkSize;
  }
  ranges.addWithin(below, covered, lowerEnd);
  return ranges.list;
}

function* lowerRanges(lower: TreeNode, lowerEnd: number): Flow<readonly Extent[]> {
  if (lower.extents === undefined) return [{ offset: 0, length: lowerEnd }];
  return yield* wait(lower.extents());
}

/** Collects ranges in order and joins those that touch. */
class Ranges {
  readonly list: { offset: number; length: number }[] = [];
  /** Ranges of the list given to {@link addWithin} that were passed already. */
  #passed = 0;

  add(from: number, to: number): void {
    if (from >= to) return;
    const last = this.list.at(-1);
    if (last !== undefined && last.offset + last.length >= from) {
      last.length = Math.max(last.length, to - last.offset);
    } else {
      this.list.push({ offset: from, length: to - from });
    }
  }

  /** Adds what `source` has within [from, to); calls come in ascending order. */
  addWithin(source: readonly Extent[], from: number, to: number): void {
    if (from >= to) return;
    for (let at = this.#passed; at < source.length; at++) {
      const { offset, length } = source[at]!;
      if (offset >= to) return;
      this.add(Math.max(offset, from), Math.min(offset + length, to));
      if (offset + length <= to) this.#passed = at + 1;
    }
  }
}
