import type { ReadOptions } from '@anole/bytes';
import { isOnDemand } from '@anole/nydus/service';
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

/** An image beside which there is a variant that loads on demand. */
export interface ImageWithVariant {
  /** Digests of manifests. */
  readonly original: string;
  readonly variant: string;
  /** Chain IDs of the original's layers, the lowest first. */
  readonly chainIds: readonly string[];
}

/**
 * Images of an index that have variants, as `anole image convert` makes them; and the variants, which are images
 * themselves. That a variant has the files of its original is what the maker of the index says.
 *
 * @throws OciError
 */
export async function imagesWithVariants(
  reader: ImageReader,
  root: Descriptor,
  options: ReadOptions = {},
): Promise<readonly ImageWithVariant[]> {
  const { content } = await readManifest(reader, root, options);
  const index = content.kind === 'index' ? content : undefined;
  const candidates = index ? index.manifests.filter(needsErofs) : [root];
  const found: ImageWithVariant[] = [];
  for (const variant of await onDemandAmong(reader, candidates, options)) {
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

function needsErofs({ mediaType, platform }: Descriptor): boolean {
  return isManifestType(mediaType) && platform?.features?.includes('erofs') === true;
}

/** Those of which one layer is all their files, and loads on demand. */
async function onDemandAmong(
  reader: ImageReader,
  manifests: readonly Descriptor[],
  options: ReadOptions,
): Promise<readonly Descriptor[]> {
  const found: Descriptor[] = [];
  for (const each of manifests) {
    const { content } = await readManifest(reader, each, options);
    if (content.kind !== 'manifest') continue;
    const [layer] = content.layers;
    if (content.layers.length === 1 && layer && isOnDemand(layer)) found.push(each);
  }
  return found;
}

function originalsOf(variant: Descriptor, { manifests }: ImageIndex): readonly Descriptor[] {
  return manifests.filter(({ platform, mediaType, artifactType }) => {
    if (!platform || platform.features || artifactType !== undefined) return false;
    return isManifestType(mediaType) && isSame(platform, variant.platform!);
  });
}

/** Whether both are the same processor, not one that can also do what the other does. */
function isSame(one: Platform, other: Platform): boolean {
  const nameOf = ({ os, architecture, variant = '' }: Platform) =>
    // What has no version is the first there was.
    `${os}/${architecture}/${architecture === 'arm64' && variant === '' ? 'v8' : variant}`;
  return nameOf(one) === nameOf(other);
}
