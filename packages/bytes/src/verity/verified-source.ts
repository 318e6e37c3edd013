import { checkRange, type ReadOptions, type Source } from '../source.ts';
import { VerityHashes, type VerityPlace } from './hashes.ts';
import { VERITY_BLOCK } from './layout.ts';

/**
 * Data in front of dm-verity's hashes, verified as they are read: what comes is what the root hash
 * stands for, or an error. Reads get whole blocks, so a cache in front of this one saves most.
 *
 * @throws AnoleError `VERITY_BAD_SIZE`; `SOURCE_OUT_OF_RANGE` where the Source ends before the hashes;
 * later reads `VERITY_WRONG_DATA`
 */
export function verifiedSource(inner: Source, place: VerityPlace): Source {
  const hashes = new VerityHashes(inner, place);
  const { size } = place;
  return {
    size,
    async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
      checkRange(offset, length, size);
      if (length === 0) return new Uint8Array(0);
      const from = offset - (offset % VERITY_BLOCK);
      const end = Math.ceil((offset + length) / VERITY_BLOCK) * VERITY_BLOCK;
      const bytes = await inner.read(from, end - from, options);
      await hashes.verify(from, bytes, options);
      return bytes.subarray(offset - from, offset - from + length);
    },
    close: () => inner.close?.(),
  };
}
