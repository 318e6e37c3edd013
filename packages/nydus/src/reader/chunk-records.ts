import { type Flow, type Source, viewOf, wait } from '@anole/bytes';
import { damaged } from '../errors.ts';
import { DIGEST_SIZE } from '../layout/algorithms.ts';
import { CHUNK_RECORD_SIZE, ChunkRecord, chunkFlags } from '../layout/chunk.ts';
import type { Chunk, ChunkTable } from './chunk.ts';

/**
 * The table of all chunks of a bootstrap: their digests, and where they lie, for blobs that have no
 * table of their own. Kept as it is, with an index.
 */
export class ChunkRecords {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** For each blob, by the number of the chunk: the byte at which its record begins. */
  readonly #places: readonly Map<number, number>[];

  /** @throws RafsError `RAFS_BAD_BOOTSTRAP` */
  constructor(bytes: Uint8Array, blobs: number) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#places = Array.from({ length: blobs }, () => new Map());
    for (let at = 0; at < bytes.length; at += CHUNK_RECORD_SIZE) {
      const blob = this.#view.getUint32(at + ChunkRecord.offsets.blobIndex, true);
      const places = this.#places[blob];
      if (places === undefined) {
        throw damaged('RAFS_BAD_BOOTSTRAP', `Cannot use a chunk of blob ${blob}: there is none`);
      }
      places.set(this.#view.getUint32(at + ChunkRecord.offsets.index, true), at);
    }
  }

  /** Undefined where the bootstrap has no record of the chunk. Aliases the bootstrap. */
  digest(blob: number, index: number): Uint8Array | undefined {
    const at = this.#places[blob]?.get(index);
    return at === undefined ? undefined : this.#bytes.subarray(at, at + DIGEST_SIZE);
  }

  /** The chunks of a blob, in the order of their records; their numbers may have gaps. */
  table(blob: number): ChunkTable {
    const places = [...this.#places[blob]!.values()];
    return {
      count: places.length,
      chunk: (index) => chunkOf(ChunkRecord.read(this.#view, places[index]!)),
    };
  }
}

/** @throws RafsError `RAFS_BAD_BOOTSTRAP` */
export function* readChunkRecords(
  source: Source,
  offset: number,
  size: number,
  blobs: number,
): Flow<ChunkRecords> {
  const fits = size % CHUNK_RECORD_SIZE === 0 && offset + size <= source.size;
  if (!fits) {
    throw damaged('RAFS_BAD_BOOTSTRAP', `Cannot use the table of chunks: it has ${size} bytes`);
  }
  return new ChunkRecords(new Uint8Array(yield* wait(source.read(offset, size))), blobs);
}

/** Records do not say which one. */
const someBatch = { kind: 'batch', index: -1, offset: 0 } as const;

/** What a record of a bootstrap says where a chunk lies. */
export function chunkOf(record: ReturnType<typeof ChunkRecord.read>): Chunk {
  const { flags } = record;
  return {
    index: record.index,
    compressedOffset: record.compressedOffset,
    compressedSize: record.compressedSize,
    offset: record.uncompressedOffset,
    size: record.uncompressedSize,
    compressed: (flags & chunkFlags.compressed) !== 0,
    encrypted: (flags & chunkFlags.encrypted) !== 0,
    part: (flags & chunkFlags.batch) !== 0 ? someBatch : undefined,
    crc32: (flags & chunkFlags.crc32) !== 0 ? record.crc32 : undefined,
  };
}
