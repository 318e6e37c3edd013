import { viewOf } from '@anole/bytes';
import type { Extent } from '@anole/vfs';
import { BLOCK_MAP_ENTRY_SIZE, CHUNK_INDEX_SIZE, ChunkIndex } from '../layout/chunk.ts';
import { NO_BLOCK } from '../layout/inode.ts';

/** Above so many entries a table takes larger chunks. */
const ENTRIES_WANTED = 16 * 1024;
/** No chunks above 1 GiB: sizes of files beyond 2^44 then need larger tables. */
export const TABLE_CHUNK_MAX = 2 ** 30;

/** A file in chunks that are either stored whole or not at all. */
export interface Chunks {
  /** Bytes of a chunk: a block shifted left by `bits`. */
  readonly size: number;
  readonly bits: number;
  readonly count: number;
  /** Chunks that are to be stored, in order, apart from each other. */
  readonly stored: readonly { readonly first: number; readonly count: number }[];
  /** Where all chunks lie that are stored already: then there are none to be. */
  readonly places?: ChunkPlaces;
}

/** Places of chunks that were stored before the image was laid out. */
export interface ChunkPlaces {
  /** Of the device table; 0 is the image itself. */
  readonly device: number;
  /**
   * For each chunk its first block: of the device, or of the image's own stored data. NO_BLOCK for a
   * hole.
   */
  readonly blocks: Uint32Array;
}

/** Chunks for a file, or undefined where storing it whole takes no more room. */
export function chunksOf(
  fileSize: number,
  extents: readonly Extent[],
  blockSize: number,
): Chunks | undefined {
  let bits = 0;
  let size = blockSize;
  while (fileSize / size > ENTRIES_WANTED && size < TABLE_CHUNK_MAX) {
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

/** Bytes of an entry of the table: those that name a device are longer. */
export function entrySize({ places }: Chunks, indexes: boolean): number {
  const long = indexes || (places !== undefined && places.device > 0);
  return long ? CHUNK_INDEX_SIZE : BLOCK_MAP_ENTRY_SIZE;
}

/** Bytes of the table, and of the gap before it, behind `end` bytes of the inode. */
export function tableSize(chunks: Chunks, end: number, indexes: boolean): number {
  const size = entrySize(chunks, indexes);
  return Math.ceil(end / size) * size - end + chunks.count * size;
}

/**
 * The gap and the table. `startBlock` is the first block of what is still to be stored, or of the
 * image's own stored data.
 */
export function encodeTable(
  chunks: Chunks,
  end: number,
  { startBlock, blockSize, indexes }: TablePlace,
): Uint8Array {
  const unit = entrySize(chunks, indexes);
  const out = new Uint8Array(tableSize(chunks, end, indexes));
  const view = viewOf(out);
  const deviceId = chunks.places?.device ?? 0;
  let at = out.length - chunks.count * unit;
  for (const block of blocksOf(chunks, startBlock, blockSize)) {
    if (unit === BLOCK_MAP_ENTRY_SIZE) view.setUint32(at, block, true);
    else ChunkIndex.write(view, at, { blockHigh: 0, deviceId, block });
    at += unit;
  }
  return out;
}

interface TablePlace {
  readonly startBlock: number;
  readonly blockSize: number;
  /** Whether entries have 8 bytes even where 4 do. */
  readonly indexes: boolean;
}

/** The first block of each chunk. */
function blocksOf(chunks: Chunks, startBlock: number, blockSize: number): Uint32Array {
  const { places, stored, size, count } = chunks;
  if (places) {
    if (places.device > 0) return places.blocks;
    return places.blocks.map((block) => (block === NO_BLOCK ? NO_BLOCK : block + startBlock));
  }
  const blocks = new Uint32Array(count).fill(NO_BLOCK);
  let block = startBlock;
  for (const range of stored) {
    for (let index = range.first; index < range.first + range.count; index++) {
      blocks[index] = block;
      block += size / blockSize;
    }
  }
  return blocks;
}
