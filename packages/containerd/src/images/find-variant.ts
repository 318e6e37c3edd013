import type { ReadOptions } from '@anole/bytes';
import { onDemandFeatures, onDemandOf } from '@anole/nydus/service';
import {
  type Descriptor,
  type ImageIndex,
  type ImageReader,
  isManifestType,
  type Platform,
  readConfig,
  readManifest,
} from '@anole/oci';
import { chainIdsOf } from './chain-ids.ts';

/** An image that loads on demand, or has a variant beside it that does. */
export interface ImageWithVariant {
  /** Digests of manifests; the same where the image itself does. */
  readonly original: string;
  readonly variant: string;
  /** Chain IDs of the original's layers, the lowest first. */
  readonly chainIds: readonly string[];
}

/**
 * Images of an index that load on demand: by variants, as `anole image convert` makes them and which are images
 * themselves, else by indexes of their own. That a variant has the files of its original is what the maker of the
 * index says.
 *
 * @param here images for others are left out, unless they are variants
 * @throws OciError
 */
export async function imagesWithVariants(
  reader: ImageReader,
  root: Descriptor,
  here: Platform,
  options: ReadOptions = {},
): Promise<readonly ImageWithVariant[]> {
  const { content } = await readManifest(reader, root, options);
  const index = content.kind === 'index' ? content : undefined;
  const found: ImageWithVariant[] = [];
  for (const variant of index ? candidatesOf(index, here) : [root]) {
    const document = await readManifest(reader, variant, options);
    if (document.content.kind !== 'manifest') continue;
    const manifest = { ...document, content: document.content };
    if (!(await onDemandOf('', reader, manifest, options))) continue;
    for (const original of [...(index ? originalsOf(variant, index) : []), variant]) {
      const { content: manifest } = await readManifest(reader, original, options);
      if (manifest.kind !== 'manifest') continue;
      const { diffIds } = await readConfig(reader, manifest.config, options);
      // A layer that is not counted would be missing.
      if (diffIds.length !== manifest.layers.length) continue;
      const chainIds = chainIdsOf(diffIds);
      found.push({ original: original.digest, variant: variant.digest, chainIds });
    }
  }
  return found;
}

/** Variants first: where there is one, it was made for this. */
function candidatesOf({ manifests }: ImageIndex, here: Platform): readonly Descriptor[] {
  const images = manifests.filter(({ mediaType }) => isManifestType(mediaType));
  const variants = images.filter(({ platform }) => isReadable(platform?.features));
  const plain = images.filter(({ platform, artifactType }) => {
    return platform && !platform.features && !artifactType && isSame(platform, here);
  });
  return [...variants, ...plain];
}

function isReadable(features: readonly string[] = []): boolean {
  return features.length > 0 && features.every((feature) => onDemandFeatures.includes(feature));
}

function originalsOf(variant: Descriptor, { manifests }: ImageIndex): readonly Descriptor[] {
  return manifests.filter(({ platform, mediaType, artifactType }) => {
    if (!platform || platform.features || artifactType !== undefined) return false;
    return (
      isManifestType(mediaType) &&
      variant.platform !== undefined &&
      isSame(platform, variant.platform)
    );
  });
}

/** Whether both are the same processor, not one that can also do what the other does. */
function isSame(one: Platform, other: Platform): boolean {
  const nameOf = ({ os, architecture, variant = '' }: Platform) =>
    // What has no version is the first there was.
    `${os}/${architecture}/${architecture === 'arm64' && variant === '' ? 'v8' : variant}`;
  return nameOf(one) === nameOf(other);
}
