import { viewOf } from '@anole/bytes';
import { compressors } from '../layout/algorithms.ts';
import {
  BatchContext,
  CHUNK_INFO_V1_SIZE,
  CHUNK_INFO_V2_SIZE,
  CONTEXT_SIZE,
  chunkInfoFlags as flags,
  META_MAGIC,
  MetaHeader,
} from '../layout/blob-meta.ts';
import type { MetaPlace } from '../reader/blob-info.ts';
import type { Chunk } from '../reader/chunk.ts';
import type { Settings } from './options.ts';

/** The table of chunks of a blob that is being written. */
export class ChunkInfoTable {
  /** What version 1 cannot say needs version 2. */
  readonly version: 1 | 2;
  readonly #chunks: Chunk[] = [];
  readonly #batches: { readonly compressedSize: number; readonly uncompressedSize: number }[] = [];

  constructor({ batchSize, key }: Pick<Settings, 'batchSize' | 'key'>) {
    this.version = batchSize > 0 || key !== undefined ? 2 : 1;
  }

  get count(): number {
    return this.#chunks.length;
  }

  get batches(): number {
    return this.#batches.length;
  }

  add(chunk: Chunk): void {
    this.#chunks.push(chunk);
  }

  addBatch(compressedSize: number, uncompressedSize: number): void {
    this.#batches.push({ compressedSize, uncompressedSize });
  }

  encode(): Uint8Array {
    const size = this.version === 1 ? CHUNK_INFO_V1_SIZE : CHUNK_INFO_V2_SIZE;
    const bytes = new Uint8Array(this.count * size + this.batches * CONTEXT_SIZE);
    const view = viewOf(bytes);
    const put = this.version === 1 ? putV1 : putV2;
    this.#chunks.forEach((chunk, at) => {
      put(view, at * size, chunk);
    });
    this.#batches.forEach((batch, at) => {
      BatchContext.write(view, this.count * size + at * CONTEXT_SIZE, batch);
    });
    return bytes;
  }

  header(place: MetaPlace, features: number): Uint8Array {
    const hasBatches = this.batches > 0;
    return MetaHeader.encode({
      magic: META_MAGIC,
      features,
      compressor: compressors.indexOf(place.compressor),
      entries: this.count,
      offset: place.offset,
      compressedSize: place.compressedSize,
      uncompressedSize: place.uncompressedSize,
      contextOffset: hasBatches ? this.count * CHUNK_INFO_V2_SIZE : 0,
      contextSize: this.batches * CONTEXT_SIZE,
      contextCount: this.batches,
      magic2: META_MAGIC,
    });
  }
}

/** As `ChunkInfosV1` reads it. */
function putV1(view: DataView, at: number, chunk: Chunk): void {
  const { offset, compressedOffset } = chunk;
  const [size, compressedSize] = [chunk.size - 1, chunk.compressedSize - 1];
  // The lowest 12 bits of an offset, which is a multiple of 4096, have room for bits 20 to 23 of a size.
  view.setUint32(at, low(offset) | ((size >>> 12) & 0xf00), true);
  view.setUint32(at + 4, (size << 12) | high(offset), true);
  view.setUint32(at + 8, low(compressedOffset), true);
  const rest = ((compressedSize >>> 12) & 0xf00) | high(compressedOffset);
  view.setUint32(at + 12, (compressedSize << 12) | rest, true);
}

/** As `ChunkInfosV2` reads it. */
function putV2(view: DataView, at: number, chunk: Chunk): void {
  const { offset, size, compressedOffset, compressedSize, part, crc32 } = chunk;
  const flag =
    (chunk.compressed ? flags.compressed : 0) |
    (chunk.encrypted ? flags.encrypted : 0) |
    (part === undefined ? 0 : flags[part.kind]) |
    (crc32 === undefined ? 0 : flags.crc32);
  view.setUint32(at, offset / 4096, true);
  view.setUint32(at + 4, (flag << 24) | (size - 1), true);
  view.setUint32(at + 8, low(compressedOffset), true);
  view.setUint32(at + 12, (compressedSize << 8) | high(compressedOffset), true);
  view.setUint32(at + 16, part?.offset ?? crc32 ?? 0, true);
  view.setUint32(at + 20, part?.index ?? 0, true);
}

function low(value: number): number {
  return value % 2 ** 32;
}

function high(value: number): number {
  return Math.floor(value / 2 ** 32);
}
