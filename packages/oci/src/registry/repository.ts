import type { ReadOptions } from '@anole/bytes';
import type {
  BlobOptions,
  ImageReader,
  ImageWriter,
  Origin,
  PutOptions,
  ReferrersOptions,
} from '../content.ts';
import { checkDigest, digestOf, isDigest } from '../digest.ts';
import { OciError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { type Descriptor, MAX_MANIFEST, parseManifest } from '../manifest.ts';
import { manifestTypes } from '../media-types.ts';
import { isTag, type Reference } from '../reference.ts';
import { readBlobRange } from './blob-ranges.ts';
import type { Call, RegistryClient } from './client.ts';
import { type Documents, documentName, keptBytes, keptDocument } from './documents.ts';
import { nextPage } from './pages.ts';
import { addReferrer, listReferrers } from './referrers.ts';
import { uploadBlob } from './upload.ts';

/** Tags, and referrers, of one repository at most. */
const MAX_ITEMS = 100_000;
const MAX_LIST = 16 * 1024 * 1024;
/** Bytes of manifests that are remembered: they are asked for step by step, but sent once. */
const MAX_REMEMBERED = 8 * 1024 * 1024;

/**
 * A repository of a registry (OCI distribution-spec 1.1).
 *
 * @throws OciError as {@link RegistryClient}
 */
export class Repository implements ImageReader, ImageWriter {
  readonly name: string;
  readonly client: RegistryClient;
  readonly origin: Origin;
  /** Path in the registry. */
  readonly path: string;
  /** Manifests by their digests, which they have been proven to have. */
  readonly #documents = new Map<
    string,
    { readonly mediaType: string; readonly bytes: Uint8Array }
  >();
  #remembered = 0;
  readonly #kept: Documents | undefined;

  /** @param kept documents of earlier times; without them, all is asked for */
  constructor(client: RegistryClient, reference: Pick<Reference, 'repository'>, kept?: Documents) {
    this.client = client;
    this.#kept = kept;
    this.path = reference.repository;
    this.origin = { host: client.host, repository: reference.repository };
    this.name = `${client.host}/${reference.repository}`;
  }

  get takesLent(): boolean {
    return this.client.takesLent;
  }

  async resolve(selector = 'latest', options: ReadOptions = {}): Promise<Descriptor> {
    checkSelector(selector);
    const known = this.#documents.get(selector);
    if (known) return { mediaType: known.mediaType, digest: selector, size: known.bytes.length };
    const call = this.pull('HEAD', `manifests/${selector}`, [200], options);
    const answer = await this.client.call({ ...call, headers: acceptManifests });
    answer.close();
    const size = Number(answer.header('content-length'));
    const digest = isDigest(selector) ? selector : answer.header('docker-content-digest');
    const mediaType = contentType(answer.header('content-type'));
    if (digest !== undefined && Number.isSafeInteger(size) && size > 0 && mediaType !== undefined) {
      return { mediaType, digest: checkDigest(digest), size };
    }
    // A server that says no digest.
    return (await this.resolveDocument(selector, options)).descriptor;
  }

  async resolveDocument(
    selector = 'latest',
    options: ReadOptions = {},
  ): Promise<{ descriptor: Descriptor; bytes: Uint8Array }> {
    checkSelector(selector);
    const kept = this.#kept && (await keptDocument(this.#kept, this.name, selector));
    if (kept && isDigest(selector)) return kept;
    const call = this.pull('GET', `manifests/${selector}`, kept ? [200, 304] : [200], options);
    // RFC 9110: the tag of a document is its digest (distribution-spec leaves that open; registries do so).
    const known = kept && { 'if-none-match': `"${kept.descriptor.digest}"` };
    const { answer, bytes } = await this.client.document(
      { ...call, headers: { ...acceptManifests, ...known } },
      MAX_MANIFEST,
    );
    if (answer.status === 304 && kept) return kept;
    const { mediaType } = parseManifest(bytes, contentType(answer.header('content-type')));
    const digest = await digestOf(bytes);
    await this.#remember(digest, mediaType, bytes);
    const descriptor = {
      mediaType,
      digest: isDigest(selector) ? selector : digest,
      size: bytes.length,
    };
    await this.#kept?.note(documentName(this.name, selector), { digest, mediaType });
    return { descriptor, bytes };
  }

  async manifest(
    { digest, mediaType }: Descriptor,
    options: ReadOptions = {},
  ): Promise<Uint8Array> {
    const known = this.#documents.get(digest);
    if (known) return known.bytes;
    checkDigest(digest);
    const kept = this.#kept && (await keptBytes(this.#kept, digest));
    if (kept) return kept;
    const call = this.pull('GET', `manifests/${digest}`, [200], options);
    const { bytes } = await this.client.document(
      { ...call, headers: acceptManifests },
      MAX_MANIFEST,
    );
    if ((await digestOf(bytes)) === digest) await this.#remember(digest, mediaType, bytes);
    return bytes;
  }

  blob(descriptor: Descriptor, options: BlobOptions = {}): AsyncIterable<Uint8Array> {
    const { client, name } = this;
    const call = this.pull('GET', `blobs/${checkDigest(descriptor.digest)}`, [200], options);
    return readBlobRange({ client, name, call }, descriptor, options);
  }

  async has({ digest, mediaType }: Descriptor, options: ReadOptions = {}): Promise<boolean> {
    const kind = manifestTypes.includes(mediaType) ? 'manifests' : 'blobs';
    const call = this.pull('HEAD', `${kind}/${checkDigest(digest)}`, [200, 404], options);
    const answer = await this.client.call({ ...call, headers: acceptManifests });
    answer.close();
    return answer.status === 200;
  }

  putBlob(
    descriptor: Descriptor,
    open: (start: number) => AsyncIterable<Uint8Array>,
    options: PutOptions = {},
  ): Promise<void> {
    return uploadBlob(this, descriptor, open, options);
  }

  async putManifest(
    descriptor: Descriptor,
    bytes: Uint8Array,
    tag: string | undefined,
    options: ReadOptions = {},
  ): Promise<void> {
    const selector = tag ?? descriptor.digest;
    checkSelector(selector);
    const answer = await this.client.call({
      ...this.push('PUT', `manifests/${selector}`, [201, 200, 202], options),
      headers: { 'content-type': descriptor.mediaType, 'content-length': String(bytes.length) },
      body: () => bytes,
    });
    answer.close();
    const kept = answer.header('docker-content-digest');
    if (kept !== undefined && kept !== descriptor.digest) {
      throw new OciError(
        'OCI_WRONG_CONTENT',
        `Cannot trust ${this.name}: it keeps ${kept} for ${descriptor.digest}`,
      );
    }
    const { subject } = parseManifest(bytes, descriptor.mediaType);
    if (subject && answer.header('oci-subject') === undefined) {
      await addReferrer(this, subject, descriptor, bytes, options);
    }
  }

  /** Removes a manifest, or a tag. @throws OciError `OCI_UNSUPPORTED` where the registry does not */
  async delete(selector: string, options: ReadOptions = {}): Promise<void> {
    checkSelector(selector);
    const scope = `repository:${this.path}:delete,pull`;
    const path = `v2/${this.path}/manifests/${selector}`;
    const answer = await this.client.call({
      method: 'DELETE',
      path,
      scope,
      expect: [202, 200, 204, 405],
      ...options,
    });
    answer.close();
    if (answer.status === 405) {
      throw new OciError('OCI_UNSUPPORTED', `Cannot remove from ${this.name}: it removes nothing`);
    }
  }

  /** All tags, in the order of the registry. */
  async tags(options: ReadOptions = {}): Promise<readonly string[]> {
    const tags: string[] = [];
    let path: string | URL | undefined = `v2/${this.path}/tags/list?n=1000`;
    while (path !== undefined) {
      const call: Call = { ...this.pull('GET', '', [200], options), path };
      const { answer, bytes } = await this.client.document(call, MAX_LIST);
      const json = parseJson(bytes, { what: 'the list of tags', code: 'OCI_BAD_ANSWER' });
      const page = json.strings('tags') ?? [];
      tags.push(...page.filter(isTag));
      if (tags.length > MAX_ITEMS) throw json.wrong('tags', `over ${MAX_ITEMS}`);
      path = page.length === 0 ? undefined : nextPage(answer.header('link'), this.client.base);
    }
    return tags;
  }

  /**
   * Manifests that say something about another: signatures, indexes, bills of materials. Where the
   * registry has no list of them, the tag that stands for it is read.
   */
  async referrers(
    subject: Pick<Descriptor, 'digest'>,
    options: ReferrersOptions = {},
  ): Promise<readonly Descriptor[]> {
    return listReferrers(this, subject, options);
  }

  async #remember(digest: string, mediaType: string, bytes: Uint8Array): Promise<void> {
    if (this.#remembered + bytes.length > MAX_REMEMBERED) {
      this.#documents.clear();
      this.#remembered = 0;
    }
    if (!this.#documents.has(digest)) this.#remembered += bytes.length;
    this.#documents.set(digest, { mediaType, bytes });
    await this.#kept?.put(digest, bytes);
  }

  /** A call that reads. */
  pull(
    method: Call['method'],
    path: string,
    expect: readonly number[],
    { signal }: ReadOptions,
  ): Call {
    const scope = `repository:${this.path}:pull`;
    return { method, path: `v2/${this.path}/${path}`, scope, expect, ...(signal && { signal }) };
  }

  /** A call that writes. */
  push(
    method: Call['method'],
    path: string | URL,
    expect: readonly number[],
    { signal }: ReadOptions,
    alsoPull?: string,
  ): Call {
    const also = alsoPull === undefined ? '' : ` repository:${alsoPull}:pull`;
    return {
      method,
      path: path instanceof URL ? path : `v2/${this.path}/${path}`,
      scope: `repository:${this.path}:pull,push${also}`,
      expect,
      ...(signal && { signal }),
    };
  }
}

const acceptManifests = { accept: manifestTypes.join(', ') };

/** A media type without its parameters. */
function contentType(header: string | undefined): string | undefined {
  return header?.split(';')[0]?.trim().toLowerCase();
}

function checkSelector(selector: string): void {
  if (!isTag(selector)) checkDigest(selector);
}
