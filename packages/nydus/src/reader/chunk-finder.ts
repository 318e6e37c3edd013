import { damaged } from '../errors.ts';
import type { BlobInfo } from './blob-info.ts';
import type { Chunk, ChunkTable } from './chunk.ts';

/** Finds chunks by the byte of the decoded blob at which they lie. */
export class ChunkFinder {
  readonly #table: ChunkTable;
  /** Ends of chunks, in rising order. */
  readonly #ends: Float64Array;
  /** Numbers of chunks in that order; undefined where it is that of their numbers. */
  readonly #order: Uint32Array | undefined;

  /** @throws RafsError `RAFS_BAD_BLOB_META` where chunks overlap, or lie outside the blob */
  constructor(table: ChunkTable, blob: BlobInfo) {
    this.#table = table;
    this.#order = orderOf(table);
    this.#ends = new Float64Array(table.count);
    let end = 0;
    for (let at = 0; at < table.count; at++) {
      const { offset, size, index } = table.chunk(this.#order?.[at] ?? at);
      if (offset < end) throw bad(blob, `chunk ${index} begins inside the one before it`);
      end = offset + size;
      this.#ends[at] = end;
    }
    if (end > Math.ceil(blob.uncompressedSize / 4096) * 4096) {
      throw bad(blob, `its chunks end behind its ${blob.uncompressedSize} bytes`);
    }
  }

  /** The chunk that has a byte, or the next one behind it. */
  at(offset: number): Chunk | undefined {
    let [low, high] = [0, this.#ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ends[middle]! > offset) high = middle;
      else low = middle + 1;
    }
    return low < this.#ends.length ? this.#table.chunk(this.#order?.[low] ?? low) : undefined;
  }
}

function orderOf(table: ChunkTable): Uint32Array | undefined {
  const offsets = Float64Array.from({ length: table.count }, (_, at) => table.chunk(at).offset);
  if (offsets.every((offset, at) => at === 0 || offset >= offsets[at - 1]!)) return undefined;
  return Uint32Array.from(offsets.keys()).sort((a, b) => offsets[a]! - offsets[b]!);
}

function bad(blob: BlobInfo, reason: string) {
  return damaged('RAFS_BAD_BLOB_META', `Cannot use the chunks of ${blob.id}: ${reason}`, {
    blob: blob.id,
  });
}
