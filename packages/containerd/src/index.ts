/**
 * containerd uses images that load on demand: a snapshotter for it, and a client that pulls for it.
 *
 * @example
 * import { grpcServer, Snapshotter, snapshotsService } from '@anole/containerd';
 * await using snapshotter = await Snapshotter.open('/var/lib/snapshots', { images });
 * grpcServer(snapshotsService(snapshotter)).listen('/run/snapshots.sock');
 */
export type { Mount } from './api/types.ts';
export { type ContainerdCode, ContainerdError } from './errors.ts';
export { GrpcClient } from './grpc/client.ts';
export { grpcServer } from './grpc/server.ts';
export {
  type ImageMounter,
  RegistryImages,
  type RegistryImagesOptions,
} from './images/on-demand-images.ts';
export { type PulledImage, type PullOptions, pullImage } from './pull/pull-image.ts';
export type { LayerOutcome } from './pull/unpack-layers.ts';
export type { OnDemandImages } from './snapshotter/layers.ts';
export { snapshotsService } from './snapshotter/service.ts';
export type { OnDemandLayer, Snapshot, SnapshotKind, Usage } from './snapshotter/snapshot.ts';
export { labelNames, Snapshotter, type SnapshotterOptions } from './snapshotter/snapshotter.ts';
