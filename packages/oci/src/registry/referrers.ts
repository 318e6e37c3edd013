import type { ReadOptions } from '@anole/bytes';
import type { ReferrersOptions } from '../content.ts';
import { checkDigest, digestOf } from '../digest.ts';
import {
  type Descriptor,
  encodeManifest,
  type ImageIndex,
  MAX_MANIFEST,
  type Manifest,
  parseManifest,
} from '../manifest.ts';
import { mediaTypes } from '../media-types.ts';
import type { Repository } from './repository.ts';

/** See {@link Repository.referrers}. */
export async function listReferrers(
  repository: Repository,
  subject: Pick<Descriptor, 'digest'>,
  options: ReferrersOptions,
): Promise<readonly Descriptor[]> {
  const { artifactType, ...call } = options;
  const path = `referrers/${checkDigest(subject.digest)}`;
  const found = await indexAt(repository, path, call);
  const all = (found ?? (await fallbackIndex(repository, subject, call)))?.manifests ?? [];
  return all.filter((each) => artifactType === undefined || each.artifactType === artifactType);
}

async function indexAt(
  repository: Repository,
  path: string,
  options: ReadOptions,
): Promise<ImageIndex | undefined> {
  // Registries from before referrers answer in many ways.
  const call = repository.pull('GET', path, [200, 400, 404, 405], options);
  const { answer, bytes } = await repository.client.document(
    { ...call, headers: { accept: mediaTypes.index } },
    MAX_MANIFEST,
  );
  const type = answer.header('content-type')?.split(';')[0]?.trim();
  if (answer.status !== 200 || type !== mediaTypes.index) return undefined;
  const found = parseManifest(bytes, mediaTypes.index);
  return found.kind === 'index' ? found : undefined;
}

/** The index behind the tag that stands for the list (distribution-spec, "Referrers Tag Schema"). */
function fallbackIndex(
  repository: Repository,
  { digest }: Pick<Descriptor, 'digest'>,
  options: ReadOptions,
): Promise<ImageIndex | undefined> {
  return indexAt(repository, `manifests/${tagOf(digest)}`, options);
}

function tagOf(digest: string): string {
  return digest.replace(':', '-');
}

/** How lists of referrers describe one: with its type and its annotations. */
export function describeReferrer(
  { mediaType, digest, size }: Descriptor,
  content: Manifest | ImageIndex,
): Descriptor {
  const artifactType =
    content.kind === 'manifest' ? (content.artifactType ?? content.config.mediaType) : undefined;
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== undefined && { artifactType }),
    ...(content.annotations && { annotations: content.annotations }),
  };
}

/** Adds to that index, for registries that keep no list themselves. */
export async function addReferrer(
  repository: Repository,
  subject: Descriptor,
  { mediaType, digest, size }: Descriptor,
  bytes: Uint8Array,
  options: ReadOptions,
): Promise<void> {
  const there = (await fallbackIndex(repository, subject, options))?.manifests ?? [];
  if (there.some((each) => each.digest === digest)) return;
  const added = describeReferrer({ mediaType, digest, size }, parseManifest(bytes, mediaType));
  const document = encodeManifest({
    kind: 'index',
    mediaType: mediaTypes.index,
    manifests: [...there, added],
  });
  const descriptor = {
    mediaType: mediaTypes.index,
    digest: await digestOf(document),
    size: document.length,
  };
  await repository.putManifest(descriptor, document, tagOf(subject.digest), options);
}
