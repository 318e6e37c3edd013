import { cut, type Digest, isDigest } from './digest.ts';
import { OciError } from './errors.ts';

/** A name of an image: `HOST/REPOSITORY`, with a tag, a digest, or both. */
export interface Reference {
  /** Host of the registry, with its port where it has one. */
  readonly host: string;
  /** Path in the registry: lower case, components parted by slashes. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

/** A name whose registry is not told. */
export type ShortReference = Omit<Reference, 'host'>;

/** Characters of host and repository together (distribution, reference). */
const MAX_NAME = 255;
const host =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;

/**
 * Parses `HOST/REPOSITORY[:TAG][@DIGEST]`. The first component is a host where it has a dot, a colon
 * or a capital letter, or is `localhost`; without one, the registry is not told.
 *
 * @throws OciError `OCI_BAD_REFERENCE`
 * @example
 * parseReference('registry.example/team/web:1.2');
 * // { host: 'registry.example', repository: 'team/web', tag: '1.2' }
 */
export function parseReference(text: string): Reference | ShortReference {
  // Bounded before expressions look at it.
  if (text.length > 1024) throw bad(text, 'it is too long');
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) throw bad(text, 'what follows @ is no digest');
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !tagPattern.test(tag)) throw bad(text, 'what follows : is no tag');
  const name = colon < 0 ? named : named.slice(0, colon);
  if (name.length > MAX_NAME) throw bad(text, `its name has more than ${MAX_NAME} characters`);
  const parts = { ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  if (!isHostLike(first)) return { repository: checkRepository(name, text), ...parts };
  if (!host.test(first)) throw bad(text, `${JSON.stringify(first)} is no host`);
  return { host: first, repository: checkRepository(name.slice(slash + 1), text), ...parts };
}

/**
 * As {@link parseReference}, the registry being told.
 *
 * @throws OciError `OCI_BAD_REFERENCE`, `OCI_NO_REGISTRY`
 */
export function parseFullReference(text: string): Reference {
  const found = parseReference(text);
  if (isWhole(found)) return found;
  throw new OciError('OCI_NO_REGISTRY', `Cannot use the name ${text}: it names no registry`, {
    hint: `Write HOST/${text}.`,
  });
}

/** Whether the registry is told. */
export function isWhole(reference: Reference | ShortReference): reference is Reference {
  return 'host' in reference;
}

/** The inverse of {@link parseReference}. */
export function formatReference(reference: Reference | ShortReference): string {
  const { repository, tag, digest } = reference;
  const name = isWhole(reference) ? `${reference.host}/${repository}` : repository;
  return name + (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
}

/** The tag or digest that is asked for: the digest where both are there; `latest` for neither. */
export function selectorOf({ tag, digest }: ShortReference): string {
  return digest ?? tag ?? 'latest';
}

/** A reference with `latest` where it has neither tag nor digest. */
export function withTag<T extends ShortReference>(reference: T): T {
  const { tag, digest } = reference;
  return tag === undefined && digest === undefined ? { ...reference, tag: 'latest' } : reference;
}

export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

function isHostLike(text: string): boolean {
  return text === 'localhost' || /[.:A-Z[]/.test(text);
}

function checkRepository(name: string, text: string): string {
  if (name !== '' && name.split('/').every((part) => component.test(part))) return name;
  if (name !== name.toLowerCase()) throw bad(text, 'names of images are in lower case');
  throw bad(text, `${JSON.stringify(cut(name))} is no name of an image`);
}

function bad(text: string, why: string): OciError {
  return new OciError(
    'OCI_BAD_REFERENCE',
    `Cannot use the name ${JSON.stringify(cut(text))}: ${why}`,
    {
      hint: 'Write HOST/NAME:TAG, HOST/NAME@sha256:DIGEST, or oci:DIRECTORY for a layout on disk.',
    },
  );
}
