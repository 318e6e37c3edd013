/**
 * Images that load on demand: what is read of them is fetched, verified and kept on this computer.
 *
 * @example
 * import { BlobCache, verityBlob } from '@anole/nydus/service';
 * import { blobSource, dmverityOf } from '@anole/oci';
 * const cache = new BlobCache('/var/cache/images', { quota: 20e9 });
 * const far = blobSource(reader, layer); // a registry's blob: each read is a request
 * await using blob = await cache.open(verityBlob(far, layer.digest, dmverityOf(layer)!));
 */
export { type BlobCounters, CachedBlob, type RemoteBlob } from '../cache/blob.ts';
export { BlobCache, type BlobCacheOptions, type BlobUsage, type Evicted } from '../cache/cache.ts';
export { type Chunks, chunksAt, evenChunks } from '../cache/chunks.ts';
export { verityBlob } from '../verity-blob.ts';
