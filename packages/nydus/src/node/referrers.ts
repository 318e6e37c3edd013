import type { ReadOptions } from '@anole/bytes';
import { type Image, type Manifest, type ManifestDocument, readManifest } from '@anole/oci';
import { bootstrapLayer, NYDUS_ARTIFACT } from './rafs-layers.ts';

/** What the manifest of an index as EROFS says that it is. See docs/formats/erofs-index.md. */
export const EROFS_INDEX = 'application/vnd.anole.erofs-index.v1+json';

type Referred = Pick<Image, 'reader' | 'descriptor'>;
type Referrer = Pick<ManifestDocument, 'descriptor'> & { readonly content: Manifest };

/** The index as EROFS that was put beside an image last, by whoever may write to the repository. */
export function erofsIndexBeside(
  image: Referred,
  options: ReadOptions = {},
): Promise<Referrer | undefined> {
  return lastBeside(image, EROFS_INDEX, options);
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
