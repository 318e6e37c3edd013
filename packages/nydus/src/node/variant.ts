import { createReadStream } from 'node:fs';
import { createGzip } from 'node:zlib';
import { type CallOptions, lendingSource, memorySource, type Source } from '@anole/bytes';
import { fileSource } from '@anole/host';
import { type Descriptor, mediaTypes } from '@anole/oci';
import {
  decompress,
  type StagedLayer,
  type Staging,
  type VariantFormat,
  type VariantWriter,
} from '@anole/oci/node';
import { MemoryTree, readTar, sliceSource, type Tree, writeTar } from '@anole/vfs';
import { builtInCodecs } from '../codecs.ts';
import { RafsError } from '../errors.ts';
import type { BlobResolver } from '../reader/blob.ts';
import type { RafsImage } from '../reader/image.ts';
import { openRafs } from '../reader/open.ts';
import { type BlobFile, writeRafsBlob } from '../writer/blob-of-files.ts';
import type { StoredChunk } from '../writer/chunks.ts';
import { ChunkDictionary } from '../writer/dictionary.ts';
import { writeRafs } from '../writer/image.ts';
import type { RafsWriteOptions } from '../writer/options.ts';
import { nodeCodecs } from './codecs.ts';
import { bootstrapLayer, NYDUS_ARTIFACT, NYDUS_FEATURE, rafsAnnotations } from './rafs-layers.ts';

/** Source: nydus contrib/nydusify/pkg/utils/constant.go. */
export const BLOB_TYPE = 'application/vnd.oci.image.layer.nydus.blob.v1';
const BOOTSTRAP_PATH = 'image/image.boot';

/** Bytes of a bootstrap's layer, decompressed. */
const BOOTSTRAP_MAX = 2 ** 30;

type VariantOptions = Omit<
  RafsWriteOptions,
  'inlineBootstrap' | 'dictionary' | 'key' | keyof CallOptions
>;

/**
 * RAFS as `convertImage` writes it: for each layer a blob of the data of its files, which is the same
 * whatever image has that layer, and a last layer that holds the bootstrap of all.
 *
 * @example
 * await convertImage(image, store, rafsVariant({ encoders: nodeEncoders() }), options);
 */
export function rafsVariant(options: VariantOptions): VariantFormat {
  return {
    feature: NYDUS_FEATURE,
    artifactType: NYDUS_ARTIFACT,
    write(staging, call) {
      const all = { ...options, ...call };
      return variantWriter(staging, all, (archive) => storeArchive(archive, staging, all));
    },
    open: (layers) => openVariant(layers),
  };
}

/** What is stored of the data of one layer. */
export interface StoredLayer {
  readonly staged: StagedLayer;
  /** The blob that chunks are in; undefined where the layer has no data. */
  readonly id: string | undefined;
  readonly chunks: readonly StoredChunk[];
}

/** @param store stores the data of layer `at`, which decompressed is `archive` */
export function variantWriter(
  staging: Staging,
  options: RafsWriteOptions,
  store: (archive: Source, at: number) => Promise<StoredLayer>,
): VariantWriter {
  const blobs = new Map<string, StagedLayer>();
  const dictionary = new ChunkDictionary();
  let count = 0;
  return {
    async layer(archive) {
      const { staged, id, chunks } = await store(archive, count++);
      for (const chunk of chunks) dictionary.put(chunk);
      if (id !== undefined) blobs.set(id, staged);
    },
    async finish(tree) {
      // Whatever no layer's blob has: files with holes, which archives hold otherwise.
      const { layer, result } = await staging.fill(BLOB_TYPE, (sink) =>
        writeRafs(tree, sink, { ...options, dictionary }),
      );
      if (result.blob) blobs.set(result.blob.id, layer);
      const used = result.blobs.map(({ id }) => blobs.get(id)!);
      return [
        ...used.map((each) => annotated(each, { [rafsAnnotations.blob]: 'true' })),
        await stageBootstrap(result.bootstrap, staging),
      ];
    },
  };
}

export async function storeArchive(
  archive: Source,
  staging: Staging,
  options: RafsWriteOptions,
): Promise<StoredLayer> {
  const { layer: staged, result } = await staging.fill(BLOB_TYPE, (sink) =>
    writeRafsBlob(filesOf(archive, options), sink, options),
  );
  return { staged, id: result.blob?.id, chunks: result.chunks };
}

export function annotated(
  staged: StagedLayer,
  marks: Readonly<Record<string, string>>,
): StagedLayer {
  const { layer } = staged;
  return { ...staged, layer: { ...layer, annotations: { ...layer.annotations, ...marks } } };
}

/** The files of an archive whose bytes lie in it as they are. */
async function* filesOf(archive: Source, { signal }: CallOptions): AsyncGenerator<BlobFile> {
  for await (const entry of readTar(archive, signal ? { signal } : {})) {
    const { type, path, size, extents, dataOffset } = entry;
    if (type !== 'file' || size === 0 || extents !== undefined) continue;
    const { read, readInto } = sliceSource(archive, dataOffset, size);
    yield { path, size, read, ...(readInto && { readInto: filling(readInto) }) };
  }
}

/** Of a part of an archive all that is asked for is there. */
function filling(readInto: NonNullable<Source['readInto']>) {
  return (offset: number, target: Uint8Array): number => {
    readInto(offset, target);
    return target.length;
  };
}

async function stageBootstrap(bootstrap: Uint8Array, staging: Staging): Promise<StagedLayer> {
  const files = new MemoryTree();
  files.putFile(BOOTSTRAP_PATH, bootstrap);
  const staged = await staging.add(writeTar(files), mediaTypes.layerGzip, createGzip());
  return annotated(staged, { [rafsAnnotations.bootstrap]: 'true', [rafsAnnotations.version]: '6' });
}

/**
 * Decoders that leave nothing for the collector: Node's own give memory of their own for each chunk, and what
 * waits of that is most of what a conversion takes.
 */
const verifying = { ...nodeCodecs, decoders: builtInCodecs.decoders };

/** @param far gives blobs that are none of the layers */
export async function openVariant(
  layers: readonly StagedLayer[],
  far?: (id: string) => Source | undefined,
): Promise<Tree> {
  const last = layers.at(-1)!;
  const bootstrap = await unpackBootstrap(createReadStream(last.path));
  const paths = new Map(layers.map(({ layer, path }) => [layer.digest, path]));
  const sources = new Map<string, Source>();
  const resolve: BlobResolver = (id) => {
    const path = paths.get(`sha256:${id}`);
    const near = () => (path === undefined ? far?.(id) : lendingSource(fileSource(path)));
    const source = sources.get(id) ?? near();
    if (source !== undefined) sources.set(id, source);
    return source;
  };
  const image = await openRafs(memorySource(bootstrap), resolve, {
    codecs: verifying,
    decodedCache: 4 * 2 ** 20,
  });
  const close = () => {
    for (const source of sources.values()) source.close?.();
  };
  return Object.assign(image, { close });
}

/**
 * Opens an image of Nydus in a registry, or wherever its blobs are, and the layers that they refer to.
 *
 * @param layers of its manifest
 * @param open gives the bytes of a layer, all of them in order or by ranges
 * @throws RafsError `RAFS_BAD_BOOTSTRAP` where it has no bootstrap; as `openRafs`
 */
export async function openRafsLayers(
  layers: readonly Descriptor[],
  open: {
    all(layer: Descriptor): AsyncIterable<Uint8Array>;
    ranges(layer: Descriptor): Source;
  },
): Promise<{ readonly image: RafsImage; readonly bootstrap: Source }> {
  const layer = bootstrapLayer(layers);
  if (layer === undefined) throw noBootstrap();
  const bootstrap = memorySource(await unpackBootstrap(open.all(layer)));
  const byDigest = new Map(layers.map((each) => [each.digest, each]));
  const referred = new Set(layers.map((each) => each.annotations?.[rafsAnnotations.reference]));
  const resolve: BlobResolver = (id) => {
    const digest = `sha256:${id}`;
    const blob = byDigest.get(digest);
    if (blob !== undefined) return open.ranges(blob);
    const size = image.blobs.find(({ info }) => info.id === id)?.info.compressedSize;
    if (!referred.has(digest) || size === undefined) return undefined;
    return open.ranges({ mediaType: mediaTypes.layerGzip, digest, size });
  };
  const image = await openRafs(bootstrap, resolve, { codecs: nodeCodecs });
  return { image, bootstrap };
}

/** The bootstrap out of the layer that holds it. @throws RafsError `RAFS_BAD_BOOTSTRAP` */
export async function unpackBootstrap(layer: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  for await (const entry of readTar(decompress(layer, 'gzip', BOOTSTRAP_MAX))) {
    if (entry.path === BOOTSTRAP_PATH) return new Uint8Array(await entry.storedBytes());
  }
  throw noBootstrap();
}

function noBootstrap(): RafsError {
  return new RafsError('RAFS_BAD_BOOTSTRAP', `Cannot open the image: it has no ${BOOTSTRAP_PATH}`);
}
