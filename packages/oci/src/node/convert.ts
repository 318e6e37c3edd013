import type { Awaitable, CallOptions, ReadOptions, Source } from '@anole/bytes';
import { compareTrees, renderDifference, type Tree } from '@anole/vfs';
import { type ImageConfig, MAX_CONFIG } from '../config.ts';
import { describe, type Image, type ImageWriter, readBlob } from '../content.ts';
import { OciError } from '../errors.ts';
import { type Descriptor, encodeJson, encodeManifest, type Manifest } from '../manifest.ts';
import { mediaTypes } from '../media-types.ts';
import { imageTree, type LayersOptions } from './layers.ts';
import { type StagedLayer, Staging } from './staging.ts';

/** A form of file systems that takes the place of an image's layers. */
export interface VariantFormat {
  /**
   * What the platform of the variant says that a reader must understand. Undefined where everyone can read it: it
   * has a layer for each of the image's then, and its history.
   */
  readonly feature?: string;
  /** What the manifest says that it is, where that is more than an image. */
  readonly artifactType?: string;
  /** Begins to write a variant of an image that has this configuration. */
  write(staging: Staging, options: CallOptions, config: ImageConfig): VariantWriter;
  /** Whether a file is the format's own, and none of the image's. */
  isOwn?(path: string): boolean;
  /** Reads what was written, for its verification. */
  open(layers: readonly StagedLayer[]): Awaitable<Tree>;
}

/** A variant that is being written. */
export interface VariantWriter {
  /**
   * Takes a layer of the image, decompressed and verified, as soon as it is there: the lowest first, one at a
   * time. What follows may come from afar meanwhile. The archive stays there.
   */
  layer?(archive: Source): Promise<void>;
  /** Gives the layers of the variant, the lowest first. Of the image all is in the tree now. */
  finish(tree: Tree): Promise<readonly StagedLayer[]>;
}

export interface ConvertOptions extends Omit<LayersOptions, 'onLayer'> {
  /** Names the variant at the target. Unless told it is nameless, for an index. */
  readonly tag?: string;
  /** What the variant says that it refers to: it is found by the list of that one's referrers. */
  readonly subject?: Descriptor;
}

/**
 * Writes a variant of an image: its layers as file systems of another format. Before anything
 * is put, what was written is read back and compared with the layers, down to every byte, attribute,
 * time and link. The same image gives the same variant.
 *
 * @returns the variant's manifest, with its platform, for an index
 * @throws OciError `OCI_WRONG_CONTENT` where something would be lost
 */
export async function convertImage(
  image: Image,
  to: ImageWriter,
  format: VariantFormat,
  options: ConvertOptions,
): Promise<Descriptor> {
  await using staging = await Staging.open(to, options);
  const writer = format.write(staging, options, image.config);
  const tree = await imageTree(image, {
    ...options,
    onLayer: (archive) => writer.layer?.(archive),
  });
  try {
    const layers = await writer.finish(tree);
    await verifyVariant(tree, layers, format, options);
    for (const layer of layers) await staging.put(layer);
    return await putVariant(image, to, format, layers, options);
  } finally {
    await tree.close?.();
  }
}

async function putVariant(
  image: Image,
  to: ImageWriter,
  { feature, artifactType }: VariantFormat,
  layers: readonly StagedLayer[],
  { signal, tag, subject }: ConvertOptions,
): Promise<Descriptor> {
  const call = signal ? { signal } : {};
  const config = await configOf(image, layers, feature === undefined, call);
  const configDescriptor = await describe(mediaTypes.config, config);
  await to.putBlob(configDescriptor, piece(config), call);
  const manifest: Manifest = {
    kind: 'manifest',
    mediaType: mediaTypes.manifest,
    config: configDescriptor,
    layers: layers.map(({ layer }) => layer),
    ...(artifactType !== undefined && { artifactType }),
    ...(subject && { subject: bare(subject) }),
    ...(image.manifest.annotations && { annotations: image.manifest.annotations }),
  };
  const document = encodeManifest(manifest);
  const descriptor = await describe(mediaTypes.manifest, document);
  await to.putManifest(descriptor, document, tag, call);
  const { platform } = image.config;
  return {
    ...descriptor,
    ...(artifactType !== undefined && { artifactType }),
    platform: { ...platform, ...(feature !== undefined && { features: [feature] }) },
  };
}

function bare({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

/** `open` of bytes at hand. */
export function piece(bytes: Uint8Array): (start: number) => AsyncIterable<Uint8Array> {
  return async function* (start) {
    if (start < bytes.length) yield bytes.subarray(start);
  };
}

async function verifyVariant(
  tree: Tree,
  layers: readonly StagedLayer[],
  format: VariantFormat,
  options: CallOptions,
): Promise<void> {
  const back = await format.open(layers);
  try {
    const filter = (path: string) => !format.isOwn?.(path);
    for await (const difference of compareTrees(tree, back, { ...options, filter })) {
      throw new OciError(
        'OCI_WRONG_CONTENT',
        `Cannot convert the image: it would not be the same: ${renderDifference(difference)}`,
        { details: { ...difference } },
      );
    }
  } finally {
    await back.close?.();
  }
}

/**
 * The image's configuration with other layers. Its history stays, of steps that have no layer now unless the
 * layers stand for the same steps. Where they hold the same archives, it is the same.
 */
async function configOf(
  { config, manifest, reader }: Image,
  layers: readonly StagedLayer[],
  areSameSteps: boolean,
  call: ReadOptions,
): Promise<Uint8Array> {
  const diffIds = layers.map(({ diffId }) => diffId);
  if (areSameSteps && diffIds.join() === config.diffIds.join()) {
    return readBlob(reader, manifest.config, MAX_CONFIG, call);
  }
  const { history } = config.raw;
  const steps = Array.isArray(history) ? history : [];
  return encodeJson({
    ...config.raw,
    rootfs: { type: 'layers', diff_ids: diffIds },
    ...(!areSameSteps && {
      history: [
        ...steps.map((step: unknown) => ({ ...(step as object), empty_layer: true })),
        ...layers.map(() => ({ created_by: 'anole image convert' })),
      ],
    }),
  });
}
