import { hash } from 'node:crypto';
import type { ReadOptions, Source } from '@anole/bytes';
import { type Chunks, evenChunks } from '../cache/chunks.ts';
import type { RemoteBlob } from '../cache/remote-blob.ts';

/** Bytes of a chunk. */
const CHUNK = 64 * 1024;

/**
 * A blob as it is stored, of which what has come is kept and nothing is verified: for those who verify
 * what they read there, as tables of contents, or all of it.
 */
export function rawBlob(far: Source, digest: string): RemoteBlob {
  return { ...piecesOf(far, evenChunks(far.size, CHUNK)), id: `${digest} raw` };
}

function piecesOf(far: Source, chunks: Chunks): Omit<RemoteBlob, 'id'> {
  return {
    chunks,
    fetch: async (first, end, options) => {
      const from = chunks.offsetOf(first);
      return await far.read(from, chunks.offsetOf(end) - from, options);
    },
    close: () => far.close?.(),
  };
}

/** Bytes of a chunk of hashes, which prove 128 times as much. */
const HASHES = 32 * 1024;

/** A blob of whose hashes what has come is kept, likewise. Of the rest nothing is to be read. */
export function hashesBlob(far: Source, digest: string): RemoteBlob {
  const chunks = evenChunks(far.size, HASHES);
  return { ...piecesOf(far, chunks), id: `${digest} hashes`, isScattered: true, isInner: true };
}

/** The ID of a blob that was made here. */
export function madeId(bytes: Uint8Array): string {
  return `${hash('sha256', bytes, 'hex')} made`;
}

/** A blob that was made here. */
export interface MadeBlob extends RemoteBlob {
  /** Lets go of the bytes: they are in the cache. */
  forget(): void;
}

/** @param id as {@link madeId} gives it */
export function madeBlob(bytes: Uint8Array, id: string): MadeBlob {
  const chunks = evenChunks(bytes.length, CHUNK);
  let kept: Uint8Array | undefined = bytes;
  return {
    id,
    chunks,
    async fetch(first, end, _options: ReadOptions) {
      if (kept) return kept.slice(chunks.offsetOf(first), chunks.offsetOf(end));
      throw new Error('what was made is gone from the cache');
    },
    forget() {
      kept = undefined;
    },
  };
}
