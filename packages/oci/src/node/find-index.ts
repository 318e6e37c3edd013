import type { ReadOptions } from '@anole/bytes';
import {
  type Image,
  type ImageReader,
  type ManifestDocument,
  readBlob,
  readManifest,
  readNamed,
} from '../content.ts';
import { OciError } from '../errors.ts';
import type { LayerIndex } from '../layer-index.ts';
import type { Descriptor } from '../manifest.ts';
import { isSociIndex, soci, ztocsOf } from '../soci/soci-index.ts';
import { parseZtoc } from '../soci/ztoc.ts';
import type { FindIndex } from './indexed-tree.ts';
import { openBlob } from './open-blob.ts';
import { hasToc, tocIndex } from './toc-index.ts';
import { decodeZstdPart } from './zstd-chunked.ts';

/** Bytes of a ztoc at most: a layer of 64 GiB has 512 MiB of checkpoints. */
const MAX_ZTOC = 1024 * 1024 * 1024;

/** A SOCI index of an image. */
export interface SociIndex {
  readonly descriptor: Descriptor;
  /** Ztocs by the digests of their layers. */
  readonly ztocs: ReadonlyMap<string, Descriptor>;
}

/**
 * The SOCI index that an image itself names (version 2): who knows the image's digest may trust it.
 * Undefined where there is none.
 */
export async function boundIndex(
  { reader, manifest }: Pick<Image, 'reader' | 'manifest'>,
  options: ReadOptions = {},
): Promise<SociIndex | undefined> {
  const digest = manifest.annotations?.[soci.indexDigest];
  if (digest === undefined) return undefined;
  return sociIndexOf(await readNamed(reader, digest, options));
}

/**
 * The SOCI index that was put beside an image last (version 1), by whoever may write to the repository.
 * Undefined where there is none.
 */
export async function referringIndex(
  { reader, descriptor }: Pick<Image, 'reader' | 'descriptor'>,
  options: ReadOptions = {},
): Promise<SociIndex | undefined> {
  const found = await reader.referrers?.(descriptor, { ...options, artifactType: soci.v1 });
  const last = found?.at(-1);
  return last && sociIndexOf(await readManifest(reader, last, options));
}

function sociIndexOf({ content, descriptor }: ManifestDocument): SociIndex {
  if (content.kind === 'manifest' && isSociIndex(content)) {
    return { descriptor, ztocs: ztocsOf(content) };
  }
  throw new OciError('OCI_BAD_INDEX', `Cannot use ${descriptor.digest}: it is no SOCI index`);
}

/**
 * What is known of the layers of an image: by its own index, else by what was put beside it (SOCI), else by
 * what the layers have in themselves (eStargz, zstd:chunked). Undefined where nothing is.
 */
export async function findIndexes(
  image: Image,
  options: ReadOptions = {},
): Promise<FindIndex | undefined> {
  const { reader, manifest } = image;
  const index = (await boundIndex(image, options)) ?? (await referringIndex(image, options));
  const find: FindIndex = async (layer) =>
    (index && (await readLayerIndex(reader, index, layer, options))) ??
    (await ownIndex(reader, layer, options));
  if (index) return find;
  for (const layer of manifest.layers) {
    if (hasToc(layer) || (await ownIndex(reader, layer, options))) return find;
  }
  return undefined;
}

/** The index that a layer has in itself, wherever it is; undefined where it has none. */
export async function ownIndex(
  reader: ImageReader,
  layer: Descriptor,
  options: ReadOptions = {},
): Promise<LayerIndex | undefined> {
  const stored = openBlob(reader, layer);
  try {
    return await tocIndex(layer, stored, options);
  } finally {
    await stored.close?.();
  }
}

/** Reads what an index says of a layer; undefined where it says nothing. */
export async function readLayerIndex(
  reader: ImageReader,
  { ztocs }: SociIndex,
  layer: Pick<Descriptor, 'digest'>,
  options: ReadOptions = {},
): Promise<LayerIndex | undefined> {
  const ztoc = ztocs.get(layer.digest);
  if (ztoc === undefined) return undefined;
  const bytes = await readBlob(reader, ztoc, MAX_ZTOC, options);
  return parseZtoc(bytes, { decodeZstd: decodeZstdPart });
}
