import { type ImageReader, type ReferrersOptions, readManifest } from '../content.ts';
import { isDigest } from '../digest.ts';
import { OciError } from '../errors.ts';
import { type Descriptor, type ImageIndex, parseManifest } from '../manifest.ts';
import { isManifestType } from '../media-types.ts';
import { describeReferrer } from '../registry/referrers.ts';

/** The annotation that names an image in a layout (image-spec, annotations.md). */
export const refName = 'org.opencontainers.image.ref.name';
/** What containerd writes: the whole reference. */
const containerdName = 'io.containerd.image.name';

/**
 * The entry of a layout's index that a tag or a digest stands for; without one, the only entry.
 *
 * @throws OciError `OCI_NOT_FOUND`, which names those that are there
 */
function findInIndex(
  { manifests }: ImageIndex,
  selector: string | undefined,
  name: string,
): Descriptor {
  const named = (each: Descriptor) =>
    each.digest === selector ||
    each.annotations?.[refName] === selector ||
    each.annotations?.[containerdName] === selector;
  // What only says something about another image is not meant.
  const isImage = (each: Descriptor) => each.artifactType === undefined;
  const found = manifests.filter(selector === undefined ? isImage : named);
  const distinct = new Set(found.map(({ digest }) => digest));
  // Of a name that is there twice, the last one written counts.
  const last = found.at(-1);
  if (last !== undefined && (selector !== undefined || distinct.size === 1)) return last;
  const names = manifests.map((each) => each.annotations?.[refName] ?? each.digest);
  const what = selector === undefined ? 'tell which image' : `find ${JSON.stringify(selector)}`;
  throw new OciError('OCI_NOT_FOUND', `Cannot ${what} in ${name}: it has ${list(names)}`, {
    details: { names },
    hint: `Write ${name}:TAG.`,
  });
}

/**
 * Finds an image in a layout: by its index, or, of a digest, by the manifest itself, which another may
 * refer to.
 *
 * @param read gives the bytes of a manifest, or raises `OCI_NOT_FOUND`
 */
export async function findInLayout(
  index: ImageIndex,
  selector: string | undefined,
  name: string,
  read: (digest: string) => Promise<Uint8Array>,
): Promise<Descriptor> {
  const isListed = index.manifests.some(({ digest }) => digest === selector);
  if (selector === undefined || !isDigest(selector) || isListed) {
    return findInIndex(index, selector, name);
  }
  const bytes = await read(selector);
  return { mediaType: parseManifest(bytes).mediaType, digest: selector, size: bytes.length };
}

/** Of a layout's index the manifests that say something about another. */
export async function referrersIn(
  reader: ImageReader,
  manifests: readonly Descriptor[],
  subject: Pick<Descriptor, 'digest'>,
  { artifactType, signal }: ReferrersOptions,
): Promise<readonly Descriptor[]> {
  const found: Descriptor[] = [];
  for (const each of manifests.filter(({ mediaType }) => isManifestType(mediaType))) {
    const { content } = await readManifest(reader, each, signal ? { signal } : {});
    if (content.subject?.digest !== subject.digest) continue;
    const described = describeReferrer(each, content);
    if (artifactType === undefined || described.artifactType === artifactType) {
      found.push(described);
    }
  }
  return found;
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(', ');
  if (names.length === 0) return 'none';
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown;
}
