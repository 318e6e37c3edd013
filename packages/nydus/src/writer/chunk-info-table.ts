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
  ZranContext,
} from '../layout/blob-meta.ts';
import type { MetaPlace } from '../reader/blob-info.ts';
import type { Checkpoint } from '../reader/blob-meta.ts';
import type { Chunk } from '../reader/chunk.ts';

/** The table of chunks of a blob that is being written, and of what several chunks are decoded as. */
export class ChunkInfoTable {
  readonly version: 1 | 2;
  readonly #chunks: Chunk[] = [];
  /** Batches or checkpoints, as they are stored. */
  readonly #contexts: Uint8Array[] = [];
  readonly #windows: Uint8Array[] = [];
  #windowsSize = 0;

  /** @param version 2 where there are batches, checkpoints or a key: version 1 cannot say that */
  constructor(version: 1 | 2) {
    this.version = version;
  }

  get count(): number {
    return this.#chunks.length;
  }

  get contexts(): number {
    return this.#contexts.length;
  }

  /** Bytes that `encode` will give. */
  get size(): number {
    return this.#contextOffset + this.#contextSize;
  }

  add(chunk: Chunk): void {
    this.#chunks.push(chunk);
  }

  addBatch(compressedSize: number, uncompressedSize: number): void {
    this.#contexts.push(BatchContext.encode({ compressedSize, uncompressedSize }));
  }

  addCheckpoint(checkpoint: Omit<Checkpoint, 'dictOffset' | 'dictSize'>): void {
    const { window } = checkpoint;
    const dictionary = { dictOffset: this.#windowsSize, dictSize: window.length };
    this.#contexts.push(ZranContext.encode({ ...checkpoint, ...dictionary }));
    this.#windows.push(window);
    this.#windowsSize += window.length;
  }

  encode(): Uint8Array {
    const bytes = new Uint8Array(this.size);
    const view = viewOf(bytes);
    const put = this.version === 1 ? putV1 : putV2;
    this.#chunks.forEach((chunk, at) => {
      put(view, at * this.#recordSize, chunk);
    });
    let at = this.#contextOffset;
    for (const piece of [...this.#contexts, ...this.#windows]) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  get #recordSize(): number {
    return this.version === 1 ? CHUNK_INFO_V1_SIZE : CHUNK_INFO_V2_SIZE;
  }

  get #contextOffset(): number {
    return this.count * this.#recordSize;
  }

  get #contextSize(): number {
    return this.contexts * CONTEXT_SIZE + this.#windowsSize;
  }

  header(place: MetaPlace, features: number): Uint8Array {
    return MetaHeader.encode({
      magic: META_MAGIC,
      features,
      compressor: compressors.indexOf(place.compressor),
      entries: this.count,
      offset: place.offset,
      compressedSize: place.compressedSize,
      uncompressedSize: place.uncompressedSize,
      contextOffset: this.contexts > 0 ? this.#contextOffset : 0,
      contextSize: this.#contextSize,
      contextCount: this.contexts,
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
