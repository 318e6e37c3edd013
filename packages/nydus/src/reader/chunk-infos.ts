import { viewOf } from '@anole/bytes';
import {
  CHUNK_INFO_V1_SIZE,
  CHUNK_INFO_V2_SIZE,
  chunkInfoFlags as flags,
} from '../layout/blob-meta.ts';
import type { Chunk, ChunkPart, ChunkTable } from './chunk.ts';

/**
 * Records of version 1. Of the first word, from the lowest bit on: 8 bits reserved, bits 20 to 23 of
 * the size less 1, 32 bits of offset in blocks, 20 bits of the size less 1; of the second 40 bits of
 * offset, bits 20 to 23 and the lower 20 of the size less 1.
 * Source: nydus storage/src/meta/chunk_info_v1.rs.
 */
export class ChunkInfosV1 implements ChunkTable {
  readonly count: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, count: number) {
    this.count = count;
    this.#view = viewOf(bytes);
  }

  chunk(index: number): Chunk {
    const at = index * CHUNK_INFO_V1_SIZE;
    const [low, high] = [this.#view.getUint32(at, true), this.#view.getUint32(at + 4, true)];
    const size = ((low & 0xf00) << 12) + (high >>> 12) + 1;
    const offset = (low >>> 12) * 4096 + (high & 0xfff) * 2 ** 32;
    const compressedLow = this.#view.getUint32(at + 8, true);
    const compressedHigh = this.#view.getUint32(at + 12, true);
    const compressedSize = ((compressedHigh & 0xf00) << 12) + (compressedHigh >>> 12) + 1;
    return {
      index,
      compressedOffset: compressedLow + (compressedHigh & 0xff) * 2 ** 32,
      compressedSize,
      offset,
      size,
      compressed: compressedSize !== size,
      encrypted: false,
      part: undefined,
      crc32: undefined,
    };
  }
}

/**
 * Records of version 2. Of the first word: 32 bits of offset in blocks, 24 bits of size less 1, 8 bits
 * of flags; of the second 40 bits of offset and 24 of size; of the third where in which batch or
 * checkpoint, or a checksum. Source: nydus storage/src/meta/chunk_info_v2.rs.
 */
export class ChunkInfosV2 implements ChunkTable {
  readonly count: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, count: number) {
    this.count = count;
    this.#view = viewOf(bytes);
  }

  chunk(index: number): Chunk {
    const at = index * CHUNK_INFO_V2_SIZE;
    const high = this.#view.getUint32(at + 4, true);
    const flag = high >>> 24;
    const compressedHigh = this.#view.getUint32(at + 12, true);
    return {
      index,
      compressedOffset: this.#view.getUint32(at + 8, true) + (compressedHigh & 0xff) * 2 ** 32,
      compressedSize: compressedHigh >>> 8,
      offset: this.#view.getUint32(at, true) * 4096,
      size: (high & 0xffffff) + 1,
      compressed: (flag & flags.compressed) !== 0,
      encrypted: (flag & flags.encrypted) !== 0,
      part: this.#part(at, flag),
      crc32: (flag & flags.crc32) !== 0 ? this.#view.getUint32(at + 16, true) : undefined,
    };
  }

  #part(at: number, flag: number): ChunkPart | undefined {
    if ((flag & (flags.batch | flags.zran)) === 0) return undefined;
    return {
      kind: (flag & flags.batch) !== 0 ? 'batch' : 'zran',
      index: this.#view.getUint32(at + 20, true),
      offset: this.#view.getUint32(at + 16, true),
    };
  }
}
