import { randomUUID } from 'node:crypto';
import type { CallOptions } from '@anole/bytes';
import { type Descriptor, type ImageReader, layerCompression, OciError } from '@anole/oci';
import { Diff } from '../api/diff.ts';
import { Snapshots } from '../api/snapshots.ts';
import type { Mount } from '../api/types.ts';
import { ContainerdError } from '../errors.ts';
import type { GrpcClient } from '../grpc/client.ts';
import { chainIdsOf } from '../images/chain-ids.ts';
import { labelNames } from '../snapshotter/snapshotter.ts';
import { type ContentCall, keepContent } from './content.ts';

/** What became of a layer: it comes when it is read, it was fetched, or it had been there. */
export type LayerOutcome = 'on demand' | 'fetched' | 'there';

interface Layers extends CallOptions {
  readonly layers: readonly Descriptor[];
  /** Digests of the layers, decompressed. */
  readonly diffIds: readonly string[];
  readonly snapshotter: string;
  /** The image by digest, for the snapshotter. */
  readonly image: string;
  readonly call: ContentCall;
}

interface Layer {
  readonly layer: Descriptor;
  readonly diffId: string;
  readonly chainId: string;
  /** Chain ID of what is below, or ''. */
  readonly parent: string;
}

/** Has a snapshot for each layer, fetching those that the snapshotter does not have. */
export async function unpackLayers(
  client: GrpcClient,
  reader: ImageReader,
  wanted: Layers,
): Promise<readonly LayerOutcome[]> {
  const { layers, diffIds, onProgress } = wanted;
  const chainIds = chainIdsOf(diffIds);
  const outcomes: LayerOutcome[] = [];
  for (const [at, layer] of layers.entries()) {
    const parent = chainIds[at - 1] ?? '';
    const one = { layer, diffId: diffIds[at]!, chainId: chainIds[at]!, parent };
    outcomes.push(await unpackLayer(client, reader, one, wanted));
    onProgress?.({ step: 'layers', done: at + 1, total: layers.length, unit: 'items' });
  }
  return outcomes;
}

async function unpackLayer(
  client: GrpcClient,
  reader: ImageReader,
  { layer, diffId, chainId, parent }: Layer,
  { snapshotter, image, call }: Layers,
): Promise<LayerOutcome> {
  const isThere = () => has(client, snapshotter, chainId, call);
  if (await isThere()) return 'there';
  const key = `extract-${randomUUID()} ${chainId}`;
  const labels = { [labelNames.target]: chainId, [labelNames.image]: image };
  const mounts = await prepare(client, { snapshotter, key, parent, labels }, call);
  if (mounts === undefined) {
    if (await isThere()) return 'on demand';
    throw new ContainerdError('CONTAINERD_NOT_FOUND', `Cannot find the snapshot ${chainId}`);
  }
  try {
    if (layerCompression(layer.mediaType) === undefined) {
      throw new OciError(
        'OCI_UNSUPPORTED',
        `Cannot unpack a layer of the type ${layer.mediaType}`,
        {
          hint: "The snapshotter's log says why it is not loaded on demand.",
        },
      );
    }
    const uncompressed = { 'containerd.io/uncompressed': diffId };
    const open = (start: number) => reader.blob(layer, { ...call, start });
    await keepContent(client, layer, uncompressed, open, call);
    const { mediaType, digest, size } = layer;
    const diff = { mediaType, digest, size };
    const { applied } = await client.call(Diff.apply, { diff, mounts }, call);
    if (applied?.digest !== diffId) {
      throw new OciError(
        'OCI_WRONG_CONTENT',
        `Cannot use ${digest} of ${reader.name}: it unpacks to ${applied?.digest}, not ${diffId}`,
      );
    }
    const committed = { snapshotter, name: chainId, key, labels };
    await client.call(Snapshots.commit, committed, call);
    return 'fetched';
  } catch (error) {
    await client.call(Snapshots.remove, { snapshotter, key }).catch(() => {});
    throw error;
  }
}

/** @returns undefined where the layer need not be made */
async function prepare(
  client: GrpcClient,
  request: Parameters<typeof Snapshots.prepare.request.encode>[0],
  call: ContentCall,
): Promise<readonly Partial<Mount>[] | undefined> {
  try {
    return (await client.call(Snapshots.prepare, request, call)).mounts;
  } catch (error) {
    if (error instanceof ContainerdError && error.code === 'CONTAINERD_EXISTS') return undefined;
    throw error;
  }
}

async function has(
  client: GrpcClient,
  snapshotter: string,
  key: string,
  call: ContentCall,
): Promise<boolean> {
  try {
    await client.call(Snapshots.stat, { snapshotter, key }, call);
    return true;
  } catch (error) {
    if (error instanceof ContainerdError && error.code === 'CONTAINERD_NOT_FOUND') return false;
    throw error;
  }
}
