import { AnoleError, type Awaitable, type ReadOptions } from '@anole/bytes';
import type { Chunks } from './chunks.ts';

/** Content that is somewhere else, and comes in chunks. */
export interface RemoteBlob {
  /**
   * Names the content and its chunks: what has one id is the same bytes, cut in the same way. The first word is the digest
   * of the whole, data, hashes and tables: what is of one digest is of no use without the rest.
   */
  readonly id: string;
  readonly chunks: Chunks;
  /** The bytes of chunks [first, end), verified. They pass to the caller. */
  fetch(first: number, end: number, options: ReadOptions): Promise<Uint8Array>;
  /**
   * Whether bytes are those of a chunk. They stay the caller's. Absent where that can be told only when
   * they come: then the cache seals what it keeps.
   */
  verify?(index: number, bytes: Uint8Array): Awaitable<boolean>;
  /** What it gave was wrong: it may know another way. Absent where there is none. */
  distrust?(): void;
  close?(): Awaitable<void>;
  /** Bytes that are fetched at once ahead of readers, where fewer come than they are. */
  readonly aheadRun?: number;
  /** Whether who reads of it is not expected to go on behind that. */
  readonly isScattered?: boolean;
  /** Whether it is read only to fetch and prove what is of another blob. */
  readonly isInner?: boolean;
}

export interface BlobCounters {
  /** Bytes that came from afar, as the blob's. */
  fetched: number;
  fetches: number;
  /** Chunks of the file that were not what they should have been. */
  damaged: number;
  /** Chunks that did not go into the file, because the disk is full or fails. */
  unstored: number;
}

/** What the content of blobs is called, by their IDs: RAFS leaves out the algorithm. */
export function contentOf(id: string): string {
  return id.replace(/ .*$/s, '').replace(/^sha256:/, '');
}

/** Whether bytes came, but not those that they should have been. */
export function isWrongContent(error: unknown): boolean {
  return AnoleError.is(error) && /_WRONG_(?:CONTENT|DATA)$/.test(error.code);
}

/** Fetches chunks [first, end), another way where what comes is wrong. @throws what fetching raises */
export async function fetchAnyhow(
  remote: RemoteBlob,
  first: number,
  end: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  try {
    return await remote.fetch(first, end, { signal });
  } catch (error) {
    if (!isWrongContent(error) || remote.distrust === undefined) throw error;
    remote.distrust();
    return await remote.fetch(first, end, { signal });
  }
}
