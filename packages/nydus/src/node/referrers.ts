import type { ReadOptions } from '@anole/bytes';
import {
  type Image,
  type Manifest,
  type ManifestDocument,
  OciError,
  readManifest,
  readNamed,
} from '@anole/oci';
import { EROFS_INDEX, type ImageMap, imageMapOf } from './layer-map/image-map.ts';
import { bootstrapLayer, NYDUS_ARTIFACT } from './rafs-layers.ts';

/** The annotation of an image by which it names its index as EROFS. */
export const EROFS_INDEX_DIGEST = 'dev.anole.erofs-index-digest';

type Referred = Pick<Image, 'reader' | 'descriptor'>;
type Referrer = Pick<ManifestDocument, 'descriptor'> & { readonly content: Manifest };

/**
 * The index as EROFS that an image itself names: who knows the image's digest may trust it. Undefined where there is none,
 * or it is one of other layers.
 *
 * @throws OciError `OCI_BAD_INDEX`
 */
export async function boundMap(
  { reader, manifest }: Pick<Image, 'reader' | 'manifest'>,
  options: ReadOptions = {},
): Promise<ImageMap | undefined> {
  const digest = manifest.annotations?.[EROFS_INDEX_DIGEST];
  if (digest === undefined) return undefined;
  const { content } = await readNamed(reader, digest, options);
  if (content.kind === 'manifest' && content.config.mediaType === EROFS_INDEX) {
    return imageMapOf(content, manifest);
  }
  throw new OciError('OCI_BAD_INDEX', `Cannot use ${digest}: it is no index as EROFS`);
}

/**
 * The index as EROFS that was put beside an image last, by whoever may write to the repository.
 *
 * @throws OciError `OCI_BAD_INDEX`
 */
export async function mapBeside(
  image: Referred & Pick<Image, 'manifest'>,
  options: ReadOptions = {},
): Promise<ImageMap | undefined> {
  const beside = await lastBeside(image, EROFS_INDEX, options);
  return beside && imageMapOf(beside.content, image.manifest);
}

/** The image of Nydus that was put beside an image last, likewise. */
export async function rafsBeside(
  image: Referred,
  options: ReadOptions = {},
): Promise<Referrer | undefined> {
  const found = await lastBeside(image, NYDUS_ARTIFACT, options);
  return found && bootstrapLayer(found.content.layers) ? found : undefined;
}

async function lastBeside(
  { reader, descriptor }: Referred,
  artifactType: string,
  options: ReadOptions,
): Promise<Referrer | undefined> {
  const last = (await reader.referrers?.(descriptor, { ...options, artifactType }))?.at(-1);
  if (last === undefined) return undefined;
  const { content } = await readManifest(reader, last, options);
  return content.kind === 'manifest' ? { descriptor: last, content } : undefined;
}
