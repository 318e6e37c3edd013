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
export { CachedBlob } from '../cache/blob.ts';
export { BlobCache, type BlobCacheOptions, type BlobUsage, type Evicted } from '../cache/cache.ts';
export { type Chunks, chunksAt, evenChunks } from '../cache/chunks.ts';
export type { BlobCounters, RemoteBlob } from '../cache/remote-blob.ts';
export type { Exported, Exports } from '../export/exports.ts';
export { httpExports } from '../export/http-exports.ts';
export { type NbdOptions, serveNbd } from '../export/nbd-session.ts';
export { NbdError } from '../export/nbd-wire.ts';
export { BlobPool } from '../on-demand/blob-pool.ts';
export { findOnDemand, onDemandFeatures, onDemandOf } from '../on-demand/find.ts';
export type { ImageBlobs, OnDemandImage, OnDemandReference } from '../on-demand/image.ts';
export { openOnDemand } from '../on-demand/open.ts';
export { placeBlobs } from '../on-demand/place-blobs.ts';
export { verityBlob } from '../verity-blob.ts';
export type { MountRequest } from './api.ts';
export type { Address, ExportOptions } from './exported-images.ts';
export { Keeper, type KeeperOptions } from './keeper.ts';
export type { MountKind } from './mount.ts';
export { notesPath } from './notes.ts';
export { type ServeOptions, serveImages } from './serve.ts';
export { ImageService, type ServiceOptions } from './service.ts';
export type { MountReport, ServiceStatus } from './status.ts';
export { mountTraced } from './traced-mount.ts';
