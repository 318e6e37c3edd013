import { DEFAULT_SPAN } from '@anole/bytes';
import { describe, type Image, type ImageReader, type ImageWriter } from '../content.ts';
import { OciError } from '../errors.ts';
import { type LayerIndex, layerSpans } from '../layer-index.ts';
import { type Descriptor, encodeManifest, type ImageIndex } from '../manifest.ts';
import { layerCompression, mediaTypes } from '../media-types.ts';
import {
  describeZtoc,
  emptyConfig,
  indexManifest,
  type SociVersion,
  soci,
} from '../soci/soci-index.ts';
import { encodeZtoc } from '../soci/ztoc.ts';
import { piece } from './convert.ts';
import { type IndexLayerOptions, indexLayer } from './index-layer.ts';

export interface IndexImageOptions extends IndexLayerOptions {
  /** Layers of fewer bytes get no index: they are fetched whole. Default 10 MiB, as SOCI has it. */
  readonly minLayer?: number;
  /** Whether those are read all the same, for others who want to know of them. Default false. */
  readonly readsAll?: boolean;
  /** Who makes it, as its annotation says. */
  readonly tool: string;
}

type PutIndexOptions = Pick<IndexImageOptions, 'signal' | 'tool'>;

export const DEFAULT_MIN_LAYER: number = 10 * 1024 * 1024;

/** The index of an image, and what of it each layer has. */
export interface IndexedImage {
  readonly descriptor: Descriptor;
  readonly layers: readonly IndexedLayer[];
}

export interface IndexedLayer {
  readonly layer: Descriptor;
  /** Undefined where the layer has none, or was not read. */
  readonly index?: LayerIndex;
  /** Undefined where there is none, as `why` says. */
  readonly ztoc?: Descriptor;
  readonly why?: string;
  readonly spans?: number;
  readonly files?: number;
}

/**
 * Writes a SOCI index of an image: for each layer a ztoc, each layer being read once. Of version 1, it is
 * put as a referrer of the image, which must be at the target.
 *
 * @throws OciError `OCI_UNSUPPORTED` where no layer can have an index; `OCI_WRONG_CONTENT`
 */
export async function indexImage(
  image: Image,
  to: ImageWriter,
  version: SociVersion,
  options: IndexImageOptions,
): Promise<IndexedImage> {
  const layers = await indexLayers(image, to, options);
  return { descriptor: await putSociIndex(image, layers, to, version, options), layers };
}

/**
 * Puts the manifest of a SOCI index.
 *
 * @param layers as {@link indexLayers} gives them
 * @throws OciError `OCI_UNSUPPORTED` where none has a ztoc
 */
export async function putSociIndex(
  { descriptor }: Pick<Image, 'descriptor'>,
  layers: readonly IndexedLayer[],
  to: ImageWriter,
  version: SociVersion,
  options: PutIndexOptions,
): Promise<Descriptor> {
  const ztocs = layers.flatMap(({ ztoc }) => (ztoc ? [ztoc] : []));
  if (ztocs.length === 0) {
    const reasons = new Set(layers.map(({ why }) => why));
    throw new OciError(
      'OCI_UNSUPPORTED',
      `Cannot index the image: no layer can have an index (${[...reasons].join('; ')})`,
      { hint: 'Smaller layers get one with --min-layer.' },
    );
  }
  return await putIndex(
    to,
    soci[version],
    ztocs,
    version === 'v1' ? descriptor : undefined,
    options,
  );
}

/** Makes the indexes of the layers of an image, and puts a ztoc for each that can have one. */
export async function indexLayers(
  image: Image,
  to: ImageWriter,
  options: IndexImageOptions,
): Promise<readonly IndexedLayer[]> {
  const layers: IndexedLayer[] = [];
  for (const layer of image.manifest.layers) {
    layers.push(await indexOne(image.reader, layer, to, options));
  }
  return layers;
}

/**
 * Puts the manifest of an index.
 *
 * @param type by which it is told
 * @param subject what it is put beside; undefined for one that its image names
 */
export async function putIndex(
  to: ImageWriter,
  type: string,
  layers: readonly Descriptor[],
  subject: Descriptor | undefined,
  { signal, tool }: PutIndexOptions,
): Promise<Descriptor> {
  const call = signal ? { signal } : {};
  const manifest = indexManifest(type, layers, subject, tool);
  await to.putBlob(manifest.config, piece(emptyConfig), call);
  const document = encodeManifest(manifest);
  const descriptor = { ...(await describe(mediaTypes.manifest, document)), artifactType: type };
  await to.putManifest(descriptor, document, undefined, call);
  return descriptor;
}

async function indexOne(
  reader: ImageReader,
  layer: Descriptor,
  to: ImageWriter,
  options: IndexImageOptions,
): Promise<IndexedLayer> {
  const { minLayer = DEFAULT_MIN_LAYER, span = DEFAULT_SPAN, readsAll, signal, tool } = options;
  const compression = layerCompression(layer.mediaType);
  if (compression === undefined) return { layer, why: `it is a ${layer.mediaType}` };
  const small = layer.size < minLayer ? `it has under ${minLayer} bytes` : undefined;
  if (small !== undefined && !readsAll) return { layer, why: small };
  const index = await indexOrWhy(reader, layer, options);
  if (typeof index === 'string') return { layer, why: index };
  if (small !== undefined) return { layer, index, why: small };
  const bytes = encodeZtoc({ ...index, tool });
  const ztoc = describeZtoc(await describe(soci.ztoc, bytes), layer, span);
  await to.putBlob(ztoc, piece(bytes), signal ? { signal } : {});
  const { count: spans } = layerSpans(index);
  return { layer, index, ztoc, spans, files: index.members.length };
}

/** The index of a layer, or why it has none. */
async function indexOrWhy(
  reader: ImageReader,
  layer: Descriptor,
  options: IndexLayerOptions,
): Promise<LayerIndex | string> {
  if (layerCompression(layer.mediaType) !== 'zstd') return indexLayer(reader, layer, options);
  try {
    const index = await indexLayer(reader, layer, options);
    return layerSpans(index).count > 1 ? index : 'it is one zstd frame, which is read as a whole';
  } catch (error) {
    if (OciError.is(error) && error.code === 'OCI_UNSUPPORTED') {
      return 'it has a zstd frame of over 64 MiB, which is read as a whole';
    }
    throw error;
  }
}

/**
 * Writes an image anew that names its indexes: its manifest has their digests as annotations, and an index of images
 * lists all. Layers and configuration must be at the target.
 *
 * @param indexes by the annotation that names each, such as that of SOCI's version 2
 */
export async function bindIndexes(
  image: Image,
  indexes: ReadonlyMap<string, Descriptor>,
  to: ImageWriter,
  tag: string | undefined,
  { signal }: IndexLayerOptions = {},
): Promise<Descriptor> {
  const call = signal ? { signal } : {};
  const { manifest } = image;
  const names = [...indexes].map(([annotation, { digest }]) => [annotation, digest] as const);
  const annotations = { ...manifest.annotations, ...Object.fromEntries(names) };
  const document = encodeManifest({
    ...manifest,
    mediaType: mediaTypes.manifest,
    config: { ...manifest.config, mediaType: mediaTypes.config },
    annotations,
  });
  const named = await describe(mediaTypes.manifest, document);
  await to.putManifest(named, document, undefined, call);
  const { platform } = image.config;
  const beside = { platform, annotations: { [soci.manifestDigest]: named.digest } };
  const all: ImageIndex = {
    kind: 'index',
    mediaType: mediaTypes.index,
    manifests: [
      { ...named, platform, annotations },
      ...[...indexes.values()].map((index) => ({ ...index, ...beside })),
    ],
  };
  const bytes = encodeManifest(all);
  const descriptor = await describe(mediaTypes.index, bytes);
  await to.putManifest(descriptor, bytes, tag, call);
  return descriptor;
}
