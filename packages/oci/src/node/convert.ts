import { hash } from 'node:crypto';
import type { Awaitable, CallOptions, Source } from '@anole/bytes';
import { VERITY_BLOCK, VerityBuilder } from '@anole/bytes/verity';
import { fileSource } from '@anole/host';
import { compareTrees, renderDifference, type Tree } from '@anole/vfs';
import { describe, type Image, type ImageWriter } from '../content.ts';
import { dmverityAnnotations } from '../dmverity.ts';
import { OciError } from '../errors.ts';
import { type Descriptor, encodeJson, encodeManifest, type Manifest } from '../manifest.ts';
import { mediaTypes } from '../media-types.ts';
import { writeBlob } from './layer-writer.ts';
import { imageTree, type LayersOptions } from './layers.ts';

/** A form of file systems that takes the place of an image's layers. */
export interface VariantFormat {
  readonly mediaType: string;
  /** What the platform of the variant says that a reader must understand. */
  readonly feature: string;
  write(tree: Tree, options: CallOptions): Promise<AsyncIterable<Uint8Array>>;
  /** Reads what was written, for its verification. */
  open(source: Source): Awaitable<Tree>;
}

/**
 * Writes a variant of an image: its layers as one file system of another format. Before anything
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
  const call = options.signal ? { signal: options.signal } : {};
  const tree = await imageTree(image, options);
  try {
    const protection = new Protection(await format.write(tree, options));
    const verify = (path: string) => verifyVariant(tree, path, format, options);
    const { layer, diffId } = await writeBlob(
      protection.bytes(),
      to,
      undefined,
      format.mediaType,
      options,
      verify,
    );
    const config = encodeJson(configOf(image, diffId));
    const configDescriptor = await describe(mediaTypes.config, config);
    await to.putBlob(configDescriptor, piece(config), call);
    const manifest: Manifest = {
      kind: 'manifest',
      mediaType: mediaTypes.manifest,
      config: configDescriptor,
      layers: [{ ...layer, annotations: protection.annotations }],
      ...(image.manifest.annotations && { annotations: image.manifest.annotations }),
    };
    const document = encodeManifest(manifest);
    const descriptor = await describe(mediaTypes.manifest, document);
    await to.putManifest(descriptor, document, undefined, call);
    const { platform } = image.config;
    return { ...descriptor, platform: { ...platform, features: [format.feature] } };
  } finally {
    await tree.close?.();
  }
}

/** Puts dm-verity's hashes behind bytes: so a reader can trust any range of them. */
class Protection {
  annotations: Record<string, string> = {};
  private readonly stream: AsyncIterable<Uint8Array>;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.stream = stream;
  }

  async *bytes(): AsyncGenerator<Uint8Array> {
    const verity = new VerityBuilder((block) => hash('sha256', block, 'buffer'));
    let size = 0;
    for await (const chunk of this.stream) {
      verity.update(chunk);
      size += chunk.length;
      yield chunk;
    }
    const padding = new Uint8Array((VERITY_BLOCK - (size % VERITY_BLOCK)) % VERITY_BLOCK);
    verity.update(padding);
    if (padding.length > 0) yield padding;
    const { rootHash, bytes } = verity.finish();
    this.annotations = dmverityAnnotations({ rootHash, hashOffset: size + padding.length });
    yield bytes;
  }
}

/** `open` of bytes at hand. */
export function piece(bytes: Uint8Array): (start: number) => AsyncIterable<Uint8Array> {
  return async function* (start) {
    if (start < bytes.length) yield bytes.subarray(start);
  };
}

async function verifyVariant(
  tree: Tree,
  path: string,
  format: VariantFormat,
  options: CallOptions,
): Promise<void> {
  using source = fileSource(path);
  const back = await format.open(source);
  for await (const difference of compareTrees(tree, back, options)) {
    throw new OciError(
      'OCI_WRONG_CONTENT',
      `Cannot convert the image: it would not be the same: ${renderDifference(difference)}`,
      { details: { ...difference } },
    );
  }
}

/** The image's configuration with one layer. Its history stays, of steps that now have no layer. */
function configOf({ config }: Image, diffId: string): Record<string, unknown> {
  const { history } = config.raw;
  const steps = Array.isArray(history) ? history : [];
  return {
    ...config.raw,
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [
      ...steps.map((step: unknown) => ({ ...(step as object), empty_layer: true })),
      { created_by: 'anole image convert' },
    ],
  };
}
