import { digestOf, isDigest } from '../digest.ts';
import type { Descriptor } from '../manifest.ts';

/** What a name of a registry stood for. */
export interface NamedDocument {
  readonly digest: string;
  readonly mediaType: string;
}

/**
 * Manifests that are kept from one process to the next: a registry then says in a line that a tag is what it was,
 * and is not asked at all for what is named by its digest. What is got is a hint, which who asks verifies.
 */
export interface Documents {
  /** The bytes that were put under a digest; undefined where they are gone. */
  get(digest: string): Promise<Uint8Array | undefined>;
  /** Keeps bytes, unless they are too many. Does not fail: what is not kept is asked for again. */
  put(digest: string, bytes: Uint8Array): Promise<void>;
  /** What a name stood for when {@link note} was told of it. */
  named(name: string): Promise<NamedDocument | undefined>;
  note(name: string, document: NamedDocument): Promise<void>;
}

/** By which it is noted what a tag or a digest of a repository stands for. */
export const documentName = (repository: string, selector: string): string =>
  `${repository} ${selector}`;

/**
 * What a tag or a digest of a repository stood for when it was asked for last.
 *
 * @param repository `HOST/NAME`
 */
export async function keptDocument(
  documents: Documents,
  repository: string,
  selector: string,
): Promise<{ readonly descriptor: Descriptor; readonly bytes: Uint8Array } | undefined> {
  const named = await documents.named(documentName(repository, selector));
  if (named === undefined || (isDigest(selector) && named.digest !== selector)) return undefined;
  const bytes = await keptBytes(documents, named.digest);
  return bytes && { descriptor: { ...named, size: bytes.length }, bytes };
}

/** Bytes that have the digest; what is kept may have rotted. */
export async function keptBytes(
  documents: Documents,
  digest: string,
): Promise<Uint8Array | undefined> {
  const bytes = await documents.get(digest);
  return bytes && (await digestOf(bytes)) === digest ? bytes : undefined;
}
