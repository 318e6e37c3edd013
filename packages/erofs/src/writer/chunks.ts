import { viewOf } from '@anole/bytes';
import type { Extent } from '@anole/vfs';
import { BLOCK_MAP_ENTRY_SIZE } from '../layout/chunk.ts';

/** Above so many entries a table takes larger chunks. */
const ENTRIES_WANTED = 16 * 1024;
/** No chunks above 1 GiB: sizes of files beyond 2^44 then need larger tables. */
const CHUNK_SIZE_MAX = 2 ** 30;

/** A file with holes, in chunks that are either stored whole or not at all. */
export interface Chunks {
  /** Bytes of a chunk: a block shifted left by `bits`. */
  readonly size: number;
  readonly bits: number;
  readonly count: number;
  /** Chunks that are stored, in order, apart from each other. */
  readonly stored: readonly { readonly first: number; readonly count: number }[];
}

/** Chunks for a file, or undefined where storing it whole takes no more room. */
export function chunksOf(
  fileSize: number,
  extents: readonly Extent[],
  blockSize: number,
): Chunks | undefined {
  let bits = 0;
  let size = blockSize;
  while (fileSize / size > ENTRIES_WANTED && size < CHUNK_SIZE_MAX) {
    bits++;
    size *= 2;
  }
  const count = Math.ceil(fileSize / size);
  const stored: { first: number; count: number }[] = [];
  for (const { offset, length } of extents) {
    if (length <= 0 || offset >= fileSize) continue;
    const last = stored.at(-1);
    const first = Math.max(Math.floor(offset / size), last ? last.first + last.count : 0);
    const end = Math.min(Math.ceil((offset + length) / size), count);
    if (end <= first) continue;
    if (last && last.first + last.count === first) last.count += end - first;
    else stored.push({ first, count: end - first });
  }
  const kept = stored.reduce((sum, range) => sum + range.count, 0);
  const saved = (count - kept) * size - count * BLOCK_MAP_ENTRY_SIZE;
  return saved > 0 && count > 1 ? { size, bits, count, stored } : undefined;
}

/** What is stored of a file, as bytes of it; each lies on blocks of its own, one after another. */
export function storedRanges(chunks: Chunks, fileSize: number): Extent[] {
  return chunks.stored.map(({ first, count }) => {
    const offset = first * chunks.size;
    return { offset, length: Math.min(count * chunks.size, fileSize - offset) };
  });
}

/** The table after the inode: the first block of each chunk. */
export function chunkTable(chunks: Chunks, startBlock: number, blockSize: number): Uint8Array {
  const table = new Uint8Array(chunks.count * BLOCK_MAP_ENTRY_SIZE).fill(0xff);
  const view = viewOf(table);
  let block = startBlock;
  for (const { first, count } of chunks.stored) {
    for (let index = first; index < first + count; index++) {
      view.setUint32(index * BLOCK_MAP_ENTRY_SIZE, block, true);
      block += chunks.size / blockSize;
    }
  }
  return table;
}
