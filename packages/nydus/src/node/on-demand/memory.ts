import { BytesBudget } from '@anole/bytes';

/**
 * Memory that the images of a process share, however many are open. Little of it: what has come lies in files,
 * and a kernel keeps what is read.
 */
export class ImageMemory {
  /** Metadata and decoded data, which are made again from what is in the cache. */
  readonly contents = new BytesBudget(8 * 1024 * 1024);
  /** Hashes of data, and what was fetched and is about to be decoded: they come again from afar. */
  readonly fetched = new BytesBudget(8 * 1024 * 1024);
}

/** Options of whoever opens an image. */
export function cachesIn({ contents }: ImageMemory) {
  return { metadataCache: contents, decodedCache: contents };
}
