import { checkRange, type ReadOptions, type Source } from '@anole/bytes';
import { type BlobOptions, gather, type ImageReader } from './content.ts';
import type { Descriptor } from './manifest.ts';

/**
 * A blob as a Source: each read is a request for its range. What comes is not verified, as a digest
 * is of the whole. Put a cache in front of it.
 *
 * @throws OciError, also in later reads
 */
export function blobSource(
  reader: ImageReader,
  descriptor: Descriptor,
  { fresh = false }: Pick<BlobOptions, 'fresh'> = {},
): Source {
  const { size } = descriptor;
  return {
    size,
    async read(offset: number, length: number, { signal }: ReadOptions = {}): Promise<Uint8Array> {
      checkRange(offset, length, size);
      if (length === 0) return new Uint8Array(0);
      const range = { start: offset, end: offset + length, fresh, ...(signal && { signal }) };
      const bytes = await gather(reader.blob(descriptor, range), length);
      checkRange(0, length, bytes.length);
      return bytes;
    },
  };
}
