/**
 * Bytes of a chunk. Small, because the first write into a chunk of a lower file copies it up whole;
 * not smaller, because each chunk costs an allocation.
 */
export const CHUNK = 16384;

export const nothing = new Uint8Array(0);

/** A chunk whose bytes are in a {@link ChunkStore}. */
export interface StoredChunk {
  /** At most {@link CHUNK}, as it is counted. */
  readonly length: number;
  /** Where it begins in the store, and its CRC-32C. */
  readonly offset: number;
  readonly sum: number;
}

/** Where chunks are that were not written since: a file of saved overlays. It answers at once. */
export interface ChunkStore {
  /** The bytes of a chunk, for the caller to keep and not to change. @throws where they are damaged */
  read(chunk: StoredChunk): Uint8Array;
}

export type Chunk = Uint8Array | StoredChunk;

/** Whether others may have a chunk, too: it is copied before it is written. */
export function isShared(chunk: Chunk): boolean {
  if (!(chunk instanceof Uint8Array)) return true;
  return typeof SharedArrayBuffer === 'function' && chunk.buffer instanceof SharedArrayBuffer;
}

/** Appending grows a chunk by doubling, so that many small writes cost few copies. */
export function grownLength(length: number, need: number): number {
  if (length >= need) return length;
  return length === 0 ? need : Math.min(CHUNK, Math.max(need, length * 2));
}
