import { randomUUID } from 'node:crypto';
import type { CallOptions } from '@anole/bytes';
import {
  type Descriptor,
  formatReference,
  type ImageIndex,
  type ImageReader,
  MAX_CONFIG,
  type Manifest,
  type ManifestDocument,
  OciError,
  type Platform,
  parseConfig,
  type Reference,
  readBlob,
  readManifest,
  readNamed,
  selectorOf,
  selectPlatform,
} from '@anole/oci';
import { Images } from '../api/images.ts';
import { Leases } from '../api/leases.ts';
import { ContainerdError } from '../errors.ts';
import type { GrpcClient } from '../grpc/client.ts';
import { chainIdsOf } from '../images/chain-ids.ts';
import { type ContentCall, keepContent } from './content.ts';
import { type LayerOutcome, unpackLayers } from './unpack-layers.ts';

export interface PullOptions extends CallOptions {
  readonly reference: Reference;
  readonly platform: Platform;
  /** Name of the snapshotter, as containerd's configuration has it. */
  readonly snapshotter: string;
}

export interface PulledImage {
  /** By which containerd calls it. */
  readonly name: string;
  readonly digest: string;
  /** What became of each layer, the lowest first. */
  readonly layers: readonly LayerOutcome[];
}

/** Indexes in indexes at most. */
const MAX_NESTING = 4;

/**
 * Pulls an image into containerd, telling its snapshotter of which image each layer is: so that layers which
 * it has on demand are not fetched. `ctr` does not tell.
 *
 * @param client with the namespace
 * @throws ContainerdError, OciError
 */
export async function pullImage(
  client: GrpcClient,
  reader: ImageReader,
  options: PullOptions,
): Promise<PulledImage> {
  const { reference, signal } = options;
  const named = await readNamed(reader, selectorOf(reference), options);
  const root = named.descriptor;
  const documents = await documentsTo(reader, named, options);
  const manifest = documents.at(-1)!.content as Manifest;
  const config = await readBlob(reader, manifest.config, MAX_CONFIG, options);
  const { diffIds } = parseConfig(config);
  if (diffIds.length !== manifest.layers.length) {
    throw new OciError(
      'OCI_BAD_MANIFEST',
      `Cannot pull ${reader.name}: ${manifest.layers.length} layers for ${diffIds.length} digests`,
    );
  }
  const name = formatReference(reference);
  const lease = `anole-${randomUUID()}`;
  const call: ContentCall = { headers: { 'containerd-lease': lease }, ...(signal && { signal }) };
  // A process that is killed leaves the lease: then it ends by itself.
  const expires = new Date(Date.now() + 24 * 3600_000).toISOString();
  await client.call(Leases.create, { id: lease, labels: { 'containerd.io/gc.expire': expires } });
  try {
    const layers = await unpackLayers(client, reader, {
      ...options,
      layers: manifest.layers,
      diffIds,
      image: formatReference({ ...reference, digest: root.digest }),
      call,
    });
    const origin = originLabels(reference);
    const top = chainIdsOf(diffIds).at(-1);
    const keptBy = top === undefined ? {} : { [`${GC}.snapshot.${options.snapshotter}`]: top };
    const keep = (what: Descriptor, bytes: Uint8Array, labels: object) =>
      keepContent(
        client,
        what,
        { ...origin, ...labels },
        async function* (start) {
          if (start < bytes.length) yield bytes.subarray(start);
        },
        call,
      );
    await keep(manifest.config, config, keptBy);
    for (const document of documents.toReversed()) {
      await keep(document.descriptor, document.bytes, childLabels(document, documents));
    }
    await nameImage(client, name, root, call);
    return { name, digest: root.digest, layers };
  } finally {
    await client.call(Leases.delete, { id: lease });
  }
}

/** By which containerd knows what content needs other content, or snapshots (docs/garbage-collection.md). */
const GC = 'containerd.io/gc.ref';

/** The documents from a first one to the manifest for a platform. */
async function documentsTo(
  reader: ImageReader,
  root: ManifestDocument,
  { platform, ...options }: PullOptions,
): Promise<readonly ManifestDocument[]> {
  const documents: ManifestDocument[] = [];
  for (let next = root; documents.length <= MAX_NESTING; ) {
    documents.push(next);
    if (next.content.kind === 'manifest') return documents;
    next = await readManifest(reader, select(next.content, platform), options);
  }
  throw new OciError('OCI_BAD_MANIFEST', `Cannot pull ${reader.name}: its indexes nest too deep`);
}

/** The image for a platform; where there is none, its variant, which only snapshotters such as ours can use. */
function select(index: ImageIndex, platform: Platform): Descriptor {
  try {
    return selectPlatform(index, platform);
  } catch (error) {
    if (!(error instanceof OciError) || error.code !== 'OCI_NO_PLATFORM') throw error;
    return selectPlatform(index, { ...platform, features: ['erofs'] });
  }
}

/** Where missing content can be fetched later. */
function originLabels({ host, repository }: Reference): Record<string, string> {
  return { [`containerd.io/distribution.source.${host}`]: repository };
}

function childLabels(
  { content }: ManifestDocument,
  documents: readonly ManifestDocument[],
): Record<string, string> {
  const labels: Record<string, string> = {};
  if (content.kind === 'manifest') {
    labels[`${GC}.content.config`] = content.config.digest;
    for (const [at, { digest }] of content.layers.entries())
      labels[`${GC}.content.l.${at}`] = digest;
  } else {
    for (const [at, { digest }] of content.manifests.entries()) {
      const isKept = documents.some(({ descriptor }) => descriptor.digest === digest);
      if (isKept) labels[`${GC}.content.m.${at}`] = digest;
    }
  }
  return labels;
}

async function nameImage(
  client: GrpcClient,
  name: string,
  { mediaType, digest, size }: Descriptor,
  call: ContentCall,
): Promise<void> {
  const image = { name, target: { mediaType, digest, size } };
  try {
    await client.call(Images.create, { image }, call);
  } catch (error) {
    if (!(error instanceof ContainerdError) || error.code !== 'CONTAINERD_EXISTS') throw error;
    await client.call(Images.update, { image, updateMask: { paths: ['target'] } }, call);
  }
}
