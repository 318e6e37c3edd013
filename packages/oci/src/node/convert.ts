import type { Awaitable, CallOptions } from '@anole/bytes';
import { compareTrees, renderDifference, type Tree } from '@anole/vfs';
import { describe, type Image, type ImageWriter } from '../content.ts';
import { OciError } from '../errors.ts';
import { type Descriptor, encodeJson, encodeManifest, type Manifest } from '../manifest.ts';
import { mediaTypes } from '../media-types.ts';
import { imageTree, type LayeredTree, type LayersOptions } from './layers.ts';
import { type StagedLayer, Staging } from './staging.ts';

/** A form of file systems that takes the place of an image's layers. */
export interface VariantFormat {
  /** What the platform of the variant says that a reader must understand. */
  readonly feature: string;
  /** What the manifest says that it is, where that is more than an image. */
  readonly artifactType?: string;
  /** Writes the layers of the variant, the lowest first. */
  write(tree: LayeredTree, staging: Staging, options: CallOptions): Promise<readonly StagedLayer[]>;
  /** Reads what was written, for its verification. */
  open(layers: readonly StagedLayer[]): Awaitable<Tree>;
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
  options: LayersOptions,
): Promise<Descriptor> {
  const tree = await imageTree(image, options);
  try {
    await using staging = await Staging.open(to, options);
    const layers = await format.write(tree, staging, options);
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
  { signal }: CallOptions,
): Promise<Descriptor> {
  const call = signal ? { signal } : {};
  const config = encodeJson(configOf(image, layers));
  const configDescriptor = await describe(mediaTypes.config, config);
  await to.putBlob(configDescriptor, piece(config), call);
  const manifest: Manifest = {
    kind: 'manifest',
    mediaType: mediaTypes.manifest,
    config: configDescriptor,
    layers: layers.map(({ layer }) => layer),
    ...(artifactType !== undefined && { artifactType }),
    ...(image.manifest.annotations && { annotations: image.manifest.annotations }),
  };
  const document = encodeManifest(manifest);
  const descriptor = await describe(mediaTypes.manifest, document);
  await to.putManifest(descriptor, document, undefined, call);
  const { platform } = image.config;
  return {
    ...descriptor,
    ...(artifactType !== undefined && { artifactType }),
    platform: { ...platform, features: [feature] },
  };
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
    for await (const difference of compareTrees(tree, back, options)) {
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

/** The image's configuration with other layers. Its history stays, of steps that now have no layer. */
function configOf({ config }: Image, layers: readonly StagedLayer[]): Record<string, unknown> {
  const { history } = config.raw;
  const steps = Array.isArray(history) ? history : [];
  return {
    ...config.raw,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: [
      ...steps.map((step: unknown) => ({ ...(step as object), empty_layer: true })),
      ...layers.map(() => ({ created_by: 'anole image convert' })),
    ],
  };
}
