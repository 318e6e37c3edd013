import { isDigest } from '../digest.ts';
import { OciError } from '../errors.ts';
import type { Descriptor, ImageIndex } from '../manifest.ts';

/** The annotation that names an image in a layout (image-spec, annotations.md). */
export const refName = 'org.opencontainers.image.ref.name';
/** What containerd writes: the whole reference. */
const containerdName = 'io.containerd.image.name';

/**
 * The entry of a layout's index that a tag or a digest stands for; without one, the only entry.
 *
 * @throws OciError `OCI_NOT_FOUND`, which names those that are there
 */
export function findInIndex(
  { manifests }: ImageIndex,
  selector: string | undefined,
  name: string,
): Descriptor {
  const named = (each: Descriptor) =>
    each.digest === selector ||
    each.annotations?.[refName] === selector ||
    each.annotations?.[containerdName] === selector;
  const found = selector === undefined ? manifests : manifests.filter(named);
  const distinct = new Set(found.map(({ digest }) => digest));
  // Of a name that is there twice, the last one written counts.
  const last = found.at(-1);
  if (last !== undefined && (selector !== undefined || distinct.size === 1)) return last;
  if (selector !== undefined && isDigest(selector)) {
    throw new OciError('OCI_NOT_FOUND', `Cannot find ${selector} in ${name}`);
  }
  const names = manifests.map((each) => each.annotations?.[refName] ?? each.digest);
  const what = selector === undefined ? 'tell which image' : `find ${JSON.stringify(selector)}`;
  throw new OciError('OCI_NOT_FOUND', `Cannot ${what} in ${name}: it has ${list(names)}`, {
    details: { names },
    hint: `Write ${name}:TAG.`,
  });
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(', ');
  if (names.length === 0) return 'none';
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown;
}
