import { checkRange, type Source } from '@anole/bytes';
import type { RemoteBlob } from '../cache/remote-blob.ts';

/** Chunks that are kept: who reads files in their order reads most of them several times. */
const KEPT = 16;

/** A device by ranges, without a cache on a disk: for who reads all of it once, or little. */
export function deviceSource(remote: RemoteBlob): Source {
  const { chunks } = remote;
  const kept = new Map<number, Promise<Uint8Array>>();
  const chunkAt = (index: number): Promise<Uint8Array> => {
    const found = kept.get(index) ?? remote.fetch(index, index + 1, {});
    kept.delete(index);
    kept.set(index, found);
    found.catch(() => kept.delete(index));
    for (const old of kept.keys()) {
      if (kept.size <= KEPT) break;
      kept.delete(old);
    }
    return found;
  };
  return {
    size: chunks.size,
    async read(offset, length, options) {
      checkRange(offset, length, chunks.size);
      const bytes = new Uint8Array(length);
      for (let at = offset; at < offset + length; ) {
        options?.signal?.throwIfAborted();
        const index = chunks.indexAt(at);
        const start = chunks.offsetOf(index);
        const end = Math.min(offset + length, chunks.offsetOf(index + 1));
        bytes.set((await chunkAt(index)).subarray(at - start, end - start), at - offset);
        at = end;
      }
      return bytes;
    },
    close: () => remote.close?.(),
  };
}
