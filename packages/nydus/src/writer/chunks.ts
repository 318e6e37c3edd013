import { RafsError } from '../errors.ts';
import type { BlobInfo } from '../reader/blob-info.ts';
import type { Chunk } from '../reader/chunk.ts';

/** A blob that an image refers to: one being written, of which more is known later, or another one. */
export interface BlobRef {
  /** As it will stand in the blob table, but for its index. */
  info: Omit<BlobInfo, 'index'>;
}

/** A chunk that lies in a blob, or will. */
export interface StoredChunk {
  readonly blob: BlobRef;
  readonly chunk: Chunk;
  readonly digest: Uint8Array;
}

/** By which chunks that are the same are found. */
export function chunkKey(digest: Uint8Array, size: number): string {
  let key = `${size} `;
  for (const byte of digest) key += String.fromCharCode(byte);
  return key;
}

/** Images of which one cannot refer to chunks of another. */
export function badImages(reason: string): RafsError {
  return new RafsError('RAFS_BAD_OPTION', `Cannot put the images together: ${reason}`, {
    hint: 'make them with the same digester and chunk size, as RAFS v6',
  });
}
