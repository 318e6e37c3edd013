import { stat } from 'node:fs/promises';
import { OciError } from '../errors.ts';
import {
  formatReference,
  parseReference,
  type Reference,
  type ShortReference,
} from '../reference.ts';
import { localTransportOf, type localTransports, remoteTransports } from '../transports.ts';
import { isLayout } from './layout.ts';

/** Where an image is, as users write it. */
export type ImageLocation =
  /** `docker://HOST/NAME:TAG`: in its registry. */
  | { readonly kind: 'registry'; readonly reference: Reference | ShortReference }
  /** `HOST/NAME:TAG`: on this computer. */
  | { readonly kind: 'store'; readonly reference: Reference | ShortReference }
  /** `oci+https://HOST/PATH[:TAG]`: in a layout on a web server. */
  | { readonly kind: 'web'; readonly url: URL; readonly tag?: string }
  /** `s3://BUCKET/PREFIX[:TAG]`: in a layout in a bucket. */
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string; readonly tag?: string }
  /** `oci:DIRECTORY[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME:TAG]`. */
  | {
      readonly kind: (typeof localTransports)[number];
      readonly path: string;
      readonly tag?: string;
    };

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
  const remote = parseRemoteLayout(text);
  if (remote) return remote;
  const kind = localTransportOf(text);
  if (kind !== undefined) {
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

const REMOTE = /^(oci\+https?|s3):\/\/([^/:]*(?::\d+)?)(?:\/([^:]*?)\/?)?(?::([^/:]+))?$/;

function parseRemoteLayout(text: string): ImageLocation | undefined {
  const isRemote = remoteTransports.some((start) => text.startsWith(start));
  if (!isRemote) return undefined;
  const [, scheme = '', host = '', path = '', tag] = REMOTE.exec(text) ?? [];
  const named = tag === undefined ? {} : { tag };
  const web = `${scheme.replace('oci+', '')}://${host}/${path}${path === '' ? '' : '/'}`;
  if (scheme === 's3' && host !== '') return { kind: 's3', bucket: host, prefix: path, ...named };
  if (host !== '' && URL.canParse(web)) return { kind: 'web', url: new URL(web), ...named };
  throw new OciError(
    'OCI_BAD_REFERENCE',
    `Cannot use ${JSON.stringify(text)} as a place of images`,
    {
      hint: 'Write oci+https://HOST/PATH:TAG or s3://BUCKET/PREFIX:TAG.',
    },
  );
}

/** A location as {@link parseLocation} reads it. */
export function formatLocation(location: ImageLocation): string {
  const tag = 'tag' in location && location.tag !== undefined ? `:${location.tag}` : '';
  switch (location.kind) {
    case 'registry':
      return `docker://${formatReference(location.reference)}`;
    case 'store':
      return formatReference(location.reference);
    case 'web':
      return `oci+${location.url.href.replace(/\/$/, '')}${tag}`;
    case 's3':
      return `s3://${location.bucket}/${location.prefix}${tag}`;
    default:
      return `${location.kind}:${location.path}${tag}`;
  }
}

/** A path that is a layout, as a location; undefined for all else. */
export async function layoutAt(path: string): Promise<ImageLocation | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() && (await isLayout(path)) ? { kind: 'oci', path } : undefined;
}
