import { hash } from 'node:crypto';
import { AnoleError, BytesBudget, cachedSource, type Source } from '@anole/bytes';
import { VerityHashes } from '@anole/bytes/verity';
import type { Dmverity } from '@anole/oci';
import type { CachedBlob } from './cache/blob.ts';
import { evenChunks } from './cache/chunks.ts';
import type { RemoteBlob } from './cache/remote-blob.ts';

/** Bytes of hashes kept, where nobody shares. */
const HASHES = 4 * 1024 * 1024;
/** Bytes of a chunk. Small, since file systems are read here and there: what is round it comes for nothing. */
const CHUNK = 16 * 1024;

/**
 * The data of a blob that has dm-verity's hashes behind them: each chunk is verified on its own, as
 * it comes and as it lies in the cache.
 *
 * @param far the whole blob, at which each read is a request
 * @param name names the blob's content: its digest
 * @param memory for hashes
 * @param kept the whole blob once more, where the hashes stay that were read: without it, nothing of the cache
 *   can be proven while the place of the blob is away
 * @throws AnoleError `VERITY_BAD_SIZE`, `SOURCE_OUT_OF_RANGE` where the place of the hashes is wrong
 */
export function verityBlob(
  far: Source,
  name: string,
  { rootHash, hashOffset }: Dmverity,
  memory: BytesBudget = new BytesBudget(HASHES),
  kept?: Source & Pick<CachedBlob, 'forget'>,
): RemoteBlob {
  const chunks = evenChunks(hashOffset, CHUNK);
  // Hashes are small, near to one another, and needed again and again.
  const makeNear = () => cachedSource(kept ?? far, { pageSize: 32 * 1024, cacheSize: memory });
  let near = makeNear();
  const stored: Source = {
    size: far.size,
    read: (offset, length, options) => near.read(offset, length, options),
  };
  const digest = (bytes: Uint8Array) => hash('sha256', bytes, 'buffer');
  const place = { size: hashOffset, hashOffset, rootHash, digest, memory };
  const hashes = new VerityHashes(stored, place);
  return {
    id: `${name} ${CHUNK}`,
    chunks,
    async fetch(first, end, options) {
      const from = chunks.offsetOf(first);
      hashes.prepare(from, chunks.offsetOf(end) - from, options);
      const bytes = await far.read(from, chunks.offsetOf(end) - from, options);
      try {
        await hashes.verify(from, bytes, options);
      } catch (error) {
        // It may be hashes that are wrong.
        kept?.forget();
        near = makeNear();
        throw error;
      }
      return bytes;
    },
    async verify(index, bytes) {
      try {
        await hashes.verify(chunks.offsetOf(index), bytes);
        return true;
      } catch (error) {
        if (AnoleError.is(error) && error.code === 'VERITY_WRONG_DATA') return false;
        throw error;
      }
    },
    close: () => far.close?.(),
  };
}
