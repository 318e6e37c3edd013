/** A chunk: a piece of a file that is stored, and verified, as one. */
export interface Chunk {
  /** Number within its blob. */
  readonly index: number;
  /** Byte of the blob as it is; of the compressed batch where the chunk is in one. */
  readonly compressedOffset: number;
  /** 0 in a batch. */
  readonly compressedSize: number;
  /** Byte of the blob decoded. */
  readonly offset: number;
  /** Bytes decoded: at least 1. */
  readonly size: number;
  readonly compressed: boolean;
  readonly encrypted: boolean;
  /** Where the chunk lies within what several are decoded as. */
  readonly part: ChunkPart | undefined;
  readonly crc32: number | undefined;
}

export interface ChunkPart {
  readonly kind: 'batch' | 'zran';
  /** Number of the batch, or of the checkpoint; -1 where only the blob tells. */
  readonly index: number;
  /** Byte of what it decodes to. */
  readonly offset: number;
}

/** The chunks of a blob. */
export interface ChunkTable {
  readonly count: number;
  /** @param index below `count` */
  chunk(index: number): Chunk;
}
