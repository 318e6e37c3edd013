import type { ReadOptions } from '@anole/bytes';
import { onDemandFeatures, onDemandOf } from '@anole/nydus/service';
import {
  type Descriptor,
  type ImageIndex,
  type ImageReader,
  isManifestType,
  type Manifest,
  type ManifestDocument,
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
 * @param root what the image's name leads to
 * @param here images for others are left out, unless they are variants
 * @throws OciError
 */
export async function imagesWithVariants(
  reader: ImageReader,
  root: ManifestDocument,
  here: Platform,
  options: ReadOptions = {},
): Promise<readonly ImageWithVariant[]> {
  const documents = new Documents(reader, root, options);
  const { content, descriptor } = root;
  if (content.kind === 'manifest') return await pairsOf(descriptor, [], documents);
  // Together: each document is a round trip, and so is each configuration.
  const found = await Promise.all(
    candidatesOf(content, here).map((variant) =>
      pairsOf(variant, originalsOf(variant, content), documents),
    ),
  );
  return found.flat();
}

/** Documents of an image, each read once. */
class Documents {
  readonly reader: ImageReader;
  readonly options: ReadOptions;
  readonly #known: Map<string, Promise<ManifestDocument>>;

  constructor(reader: ImageReader, root: ManifestDocument, options: ReadOptions) {
    this.reader = reader;
    this.options = options;
    this.#known = new Map([[root.descriptor.digest, Promise.resolve(root)]]);
  }

  /** The manifest that a descriptor leads to; undefined where that is none. */
  async manifest(descriptor: Descriptor): Promise<Found | undefined> {
    const { digest } = descriptor;
    const document = this.#known.get(digest) ?? readManifest(this.reader, descriptor, this.options);
    this.#known.set(digest, document);
    const { content, ...rest } = await document;
    return content.kind === 'manifest' ? { ...rest, content } : undefined;
  }
}

type Found = Omit<ManifestDocument, 'content'> & { readonly content: Manifest };

/** A variant with each of its originals, and with itself; none where it does not load on demand. */
async function pairsOf(
  variant: Descriptor,
  originals: readonly Descriptor[],
  documents: Documents,
): Promise<readonly ImageWithVariant[]> {
  const { reader, options } = documents;
  const all = [variant, ...originals].map((each) => documents.manifest(each));
  const [own, ...others] = await Promise.all(all);
  if (own === undefined || !(await onDemandOf('', reader, own, options))) return [];
  const pairs = [...others, own].map(async (original) => {
    if (original === undefined) return [];
    const { layers, config } = original.content;
    const { diffIds } = await readConfig(reader, config, options);
    // A layer that is not counted would be missing.
    if (diffIds.length !== layers.length) return [];
    const [{ digest }, { digest: of }] = [original.descriptor, own.descriptor];
    return [{ original: digest, variant: of, chainIds: chainIdsOf(diffIds) }];
  });
  return (await Promise.all(pairs)).flat();
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
