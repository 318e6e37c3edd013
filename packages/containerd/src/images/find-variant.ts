import type { ReadOptions } from '@anole/bytes';
import { onDemandFeatures, onDemandOf } from '@anole/nydus/service';
import {
  type Descriptor,
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

/** Variants and images of an index that are looked at: real ones have one for each processor. */
const MAX_LISTED = 64;
/** Documents that are read at once. */
const TOGETHER = 8;

/**
 * Images of an index that load on demand: by variants, as `anole image convert` makes them and which are images
 * themselves, else by indexes of their own. That a variant has the files of its original is what the maker of the
 * index says. Of variants, and of images, the first 64 count.
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
  const { candidates, plain } = listed(root, here);
  const manifests = await documents.manifests([...candidates, ...plain]);
  const variants = await documents.onDemand(candidates, manifests);
  const pairs = variants.flatMap((variant) => {
    const originals = plain.filter((image) => isOriginal(image, variant));
    return distinct([...originals, variant], digestOf).map(({ digest }) => ({
      original: digest,
      variant: variant.digest,
    }));
  });
  const wanted = new Set(pairs.map(({ original }) => original));
  const chains = await documents.chains([...wanted].flatMap((each) => manifests.get(each) ?? []));
  return pairs.flatMap(({ original, variant }) => {
    const manifest = manifests.get(original);
    if (manifest === undefined) return [];
    const chainIds = chains.get(manifest.config.digest) ?? [];
    // A layer that is not counted would be missing.
    return chainIds.length === manifest.layers.length ? [{ original, variant, chainIds }] : [];
  });
}

type Manifests = ReadonlyMap<string, Manifest>;

/** Documents of an image, each read once, some at a time: each is a round trip. */
class Documents {
  readonly reader: ImageReader;
  readonly root: ManifestDocument;
  readonly options: ReadOptions;

  constructor(reader: ImageReader, root: ManifestDocument, options: ReadOptions) {
    this.reader = reader;
    this.root = root;
    this.options = options;
  }

  /** By digests, the manifests that descriptors lead to; none for what is an index. */
  async manifests(descriptors: readonly Descriptor[]): Promise<Manifests> {
    const { root, reader, options } = this;
    const found = new Map<string, Manifest>();
    await someTogether(distinct(descriptors, digestOf), async (descriptor) => {
      const isRoot = descriptor.digest === root.descriptor.digest;
      const { content } = isRoot ? root : await readManifest(reader, descriptor, options);
      if (content.kind === 'manifest') found.set(descriptor.digest, content);
    });
    return found;
  }

  /** Those whose manifests say how they load on demand. */
  async onDemand(
    descriptors: readonly Descriptor[],
    manifests: Manifests,
  ): Promise<readonly Descriptor[]> {
    const { reader, options } = this;
    const found = new Set<string>();
    await someTogether(distinct(descriptors, digestOf), async (descriptor) => {
      const content = manifests.get(descriptor.digest);
      if (content === undefined) return;
      const how = await onDemandOf('', reader, { descriptor, content }, options);
      if (how) found.add(descriptor.digest);
    });
    return descriptors.filter(({ digest }) => found.has(digest));
  }

  /** Chain IDs, by digests of configurations. */
  async chains(manifests: readonly Manifest[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const found = new Map<string, readonly string[]>();
    const configs = manifests.map(({ config }) => config);
    await someTogether(distinct(configs, digestOf), async (config) => {
      const { diffIds } = await readConfig(this.reader, config, this.options);
      found.set(config.digest, chainIdsOf(diffIds));
    });
    return found;
  }
}

/** Variants first: where there is one, it was made for this. With images that may be originals of variants. */
function listed(
  { content, descriptor }: ManifestDocument,
  here: Platform,
): { readonly candidates: readonly Descriptor[]; readonly plain: readonly Descriptor[] } {
  if (content.kind === 'manifest') return { candidates: [descriptor], plain: [] };
  const { manifests } = content;
  const images = distinct(
    manifests.filter(({ mediaType }) => isManifestType(mediaType)),
    ({ digest, platform }) => `${digest} ${platform ? nameOf(platform) : ''} ${platform?.features}`,
  );
  const variants = images
    .filter(({ platform }) => isReadable(platform?.features))
    .slice(0, MAX_LISTED);
  const wanted = new Set(variants.flatMap(({ platform }) => (platform ? [nameOf(platform)] : [])));
  const isHere = ({ platform }: Descriptor) => platform !== undefined && isSame(platform, here);
  const originals = images.filter(({ platform, artifactType }) => {
    if (!platform || platform.features || artifactType !== undefined) return false;
    return isSame(platform, here) || wanted.has(nameOf(platform));
  });
  const own = originals.filter(isHere);
  // What runs here first: images for others must not take its place.
  const plain = [...own, ...originals.filter((each) => !isHere(each))].slice(0, MAX_LISTED);
  return { candidates: [...variants, ...own.slice(0, MAX_LISTED)], plain };
}

function isReadable(features: readonly string[] = []): boolean {
  return features.length > 0 && features.every((feature) => onDemandFeatures.includes(feature));
}

function isOriginal({ platform }: Descriptor, variant: Descriptor): boolean {
  if (platform === undefined || variant.platform === undefined) return false;
  return isSame(platform, variant.platform);
}

/** Whether both are the same processor, not one that can also do what the other does. */
function isSame(one: Platform, other: Platform): boolean {
  return nameOf(one) === nameOf(other);
}

function nameOf({ os, architecture, variant = '' }: Platform): string {
  // What has no version is the first there was.
  return `${os}/${architecture}/${architecture === 'arm64' && variant === '' ? 'v8' : variant}`;
}

function digestOf({ digest }: Descriptor): string {
  return digest;
}

/** The first of each key. */
function distinct<T>(all: readonly T[], keyOf: (each: T) => string): readonly T[] {
  const first = new Map<string, T>();
  for (const each of all) if (!first.has(keyOf(each))) first.set(keyOf(each), each);
  return [...first.values()];
}

/** Does work on all, on some at a time. After the first failure nothing more is begun. */
async function someTogether<T>(all: readonly T[], work: (each: T) => Promise<void>): Promise<void> {
  const queue = [...all].reverse();
  const worker = async () => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) await work(next);
  };
  try {
    await Promise.all(Array.from({ length: Math.min(TOGETHER, queue.length) }, worker));
  } finally {
    queue.length = 0;
  }
}
