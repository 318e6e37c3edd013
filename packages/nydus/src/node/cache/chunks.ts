/** How a blob is cut into chunks, which lie one after the other without gaps. */
export interface Chunks {
  readonly count: number;
  /** Bytes of the blob. */
  readonly size: number;
  /** First byte of a chunk; of `count`, the blob's size. */
  offsetOf(index: number): number;
  /** The chunk that has a byte of the blob. */
  indexAt(offset: number): number;
}

/** Chunks of one size, but for the last. */
export function evenChunks(size: number, chunkSize: number): Chunks {
  return {
    count: Math.ceil(size / chunkSize),
    size,
    offsetOf: (index) => Math.min(index * chunkSize, size),
    indexAt: (offset) => Math.floor(offset / chunkSize),
  };
}

/** Chunks that begin at `offsets`: the first at 0, each behind the one before. */
export function chunksAt(offsets: Float64Array, size: number): Chunks {
  return {
    count: offsets.length,
    size,
    offsetOf: (index) => offsets[index] ?? size,
    indexAt(offset) {
      let low = 0;
      let high = offsets.length;
      while (high - low > 1) {
        const middle = (low + high) >>> 1;
        if (offsets[middle]! <= offset) low = middle;
        else high = middle;
      }
      return low;
    },
  };
}
