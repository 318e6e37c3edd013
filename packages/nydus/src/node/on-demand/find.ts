import type { ReadOptions } from '@anole/bytes';
import {
  type ImageReader,
  type Manifest,
  type ManifestDocument,
  manifestIn,
  type Platform,
  readNamed,
} from '@anole/oci';
import {
  boundIndex,
  openReader,
  parseLocation,
  referringIndex,
  type Surroundings,
} from '@anole/oci/node';
import { NYDUS_FEATURE } from '../rafs-layers.ts';
import { boundMap, mapBeside, rafsBeside } from '../referrers.ts';
import { type OnDemandReference, onDemandForm } from './image.ts';
import { notOnDemand } from './open.ts';

/** Before a name: whatever index there is will do, and layers without one are fetched whole. */
const INDEXED = 'indexed:';

/** What variants of images may need, to be opened. */
export const onDemandFeatures: readonly string[] = ['erofs', NYDUS_FEATURE];

/**
 * Finds how an image loads on demand: a variant that does, or what it is itself.
 *
 * @param name `docker://HOST/NAME:TAG`, or any other place of images; after `indexed:`, with whatever index
 *   there is
 * @throws OciError `OCI_UNSUPPORTED` where it does not
 */
export async function findOnDemand(
  name: string,
  platform: Platform,
  around: Surroundings,
  options: ReadOptions = {},
): Promise<OnDemandReference> {
  const anyIndex = name.startsWith(INDEXED);
  const plain = anyIndex ? name.slice(INDEXED.length) : name;
  using from = await openReader(parseLocation(plain), around, options);
  const root = await readNamed(from.reader, from.selector, options);
  const preferred = { ...platform, features: onDemandFeatures };
  const document = await manifestIn(from.reader, root, preferred, options);
  const found = anyIndex
    ? await withAnyIndex(plain, from.reader, document, options)
    : await onDemandOf(plain, from.reader, document, options);
  if (found) return found;
  throw notOnDemand(name);
}

/** How an image loads on demand by what it says of itself; undefined where it does not. */
export async function onDemandOf(
  name: string,
  reader: ImageReader,
  { content }: Pick<ManifestDocument, 'descriptor'> & { readonly content: Manifest },
  options: ReadOptions = {},
): Promise<OnDemandReference | undefined> {
  const { layers, config } = content;
  if (onDemandForm({ layers })) return { name, layers, config };
  const map = await boundMap({ reader, manifest: content }, options);
  if (map) return { name, layers, config, map };
  const index = await boundIndex({ reader, manifest: content }, options);
  if (index === undefined) return undefined;
  const reference = { name, layers, config, ztocs: Object.fromEntries(index.ztocs) };
  return onDemandForm(reference) && reference;
}

async function withAnyIndex(
  name: string,
  reader: ImageReader,
  { content, descriptor }: ManifestDocument & { readonly content: Manifest },
  options: ReadOptions,
): Promise<OnDemandReference> {
  const { layers, config } = content;
  if (onDemandForm({ layers })) return { name, layers, config, anyIndex: true };
  const image = { reader, descriptor, manifest: content };
  const map = (await boundMap(image, options)) ?? (await mapBeside(image, options));
  if (map) return { name, layers, config, map };
  const index = (await boundIndex(image, options)) ?? (await referringIndex(image, options));
  if (index) {
    return { name, layers, config, ztocs: Object.fromEntries(index.ztocs), anyIndex: true };
  }
  const rafs = await rafsBeside(image, options);
  if (rafs) return { name, layers: rafs.content.layers };
  return { name, layers, config, anyIndex: true };
}
