import { stat } from 'node:fs/promises';
import { OciError } from '../errors.ts';
import { parseReference, type Reference, type ShortReference } from '../reference.ts';
import { isLayout } from './layout.ts';

/** Where an image is, as users write it. */
export type ImageLocation =
  /** `docker://HOST/NAME:TAG`: in its registry. */
  | { readonly kind: 'registry'; readonly reference: Reference | ShortReference }
  /** `HOST/NAME:TAG`: on this computer. */
  | { readonly kind: 'store'; readonly reference: Reference | ShortReference }
  /** `oci:DIRECTORY[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME:TAG]`. */
  | {
      readonly kind: 'oci' | 'oci-archive' | 'docker-archive';
      readonly path: string;
      readonly tag?: string;
    };

const kinds = ['oci', 'oci-archive', 'docker-archive'] as const;

/**
 * Parses a location: names of transports are skopeo's. What begins with none of them is a name on
 * this computer.
 *
 * @throws OciError `OCI_BAD_REFERENCE`
 */
export function parseLocation(text: string): ImageLocation {
  if (text.startsWith('docker://')) {
    return { kind: 'registry', reference: parseReference(text.slice('docker://'.length)) };
  }
  for (const kind of kinds) {
    if (!text.startsWith(`${kind}:`)) continue;
    const rest = text.slice(kind.length + 1);
    const colon = rest.indexOf(':');
    const path = colon < 0 ? rest : rest.slice(0, colon);
    const tag = colon < 0 ? undefined : rest.slice(colon + 1);
    if (path === '' || tag === '') {
      throw new OciError(
        'OCI_BAD_REFERENCE',
        `Cannot use ${JSON.stringify(text)}: a part is empty`,
        {
          hint: `Write ${kind}:PATH or ${kind}:PATH:TAG.`,
        },
      );
    }
    return { kind, path, ...(tag !== undefined && { tag }) };
  }
  return { kind: 'store', reference: parseReference(text) };
}

/** True for text that names a transport: it cannot be meant as a path. */
export function hasTransport(text: string): boolean {
  return text.startsWith('docker://') || kinds.some((kind) => text.startsWith(`${kind}:`));
}

/** A path that is a layout, as a location; undefined for all else. */
export async function layoutAt(path: string): Promise<ImageLocation | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() && (await isLayout(path)) ? { kind: 'oci', path } : undefined;
}
