import type { ReadOptions } from '@anole/bytes';
import type { BlobOptions, ImageReader, ReferrersOptions } from '../content.ts';
import { checkDigest } from '../digest.ts';
import { OciError } from '../errors.ts';
import { type Descriptor, type ImageIndex, MAX_MANIFEST, parseManifest } from '../manifest.ts';
import { mediaTypes } from '../media-types.ts';
import { readBlobRange } from '../registry/blob-ranges.ts';
import type { Call, RegistryClient } from '../registry/client.ts';
import { findInLayout, referrersIn } from './index-names.ts';

/**
 * An OCI layout (OCI image-spec, image-layout.md) on a server that knows nothing of images: a web server, or a
 * bucket. Blobs are read by ranges.
 *
 * @throws OciError as {@link RegistryClient}
 */
export class RemoteLayout implements ImageReader {
  readonly name: string;
  readonly #client: RegistryClient;

  /** @param client whose base is the layout's directory */
  constructor(client: RegistryClient, name: string) {
    this.#client = client;
    this.name = name;
  }

  async resolve(selector?: string, options: ReadOptions = {}): Promise<Descriptor> {
    return findInLayout(await this.#index(options), selector, this.name, (digest) =>
      this.#document(pathOf(digest), options),
    );
  }

  manifest({ digest }: Descriptor, options: ReadOptions = {}): Promise<Uint8Array> {
    return this.#document(pathOf(digest), options);
  }

  blob(descriptor: Descriptor, options: BlobOptions = {}): AsyncIterable<Uint8Array> {
    const { name } = this;
    const call = this.#call(pathOf(descriptor.digest), options);
    return readBlobRange({ client: this.#client, name, call }, descriptor, options);
  }

  async referrers(
    subject: Pick<Descriptor, 'digest'>,
    options: ReferrersOptions = {},
  ): Promise<readonly Descriptor[]> {
    return referrersIn(this, (await this.#index(options)).manifests, subject, options);
  }

  async #index(options: ReadOptions): Promise<ImageIndex> {
    const found = parseManifest(await this.#document('index.json', options), mediaTypes.index);
    if (found.kind === 'index') return found;
    throw new OciError('OCI_BAD_LAYOUT', `Cannot use ${this.name}: its index.json is no index`);
  }

  async #document(path: string, options: ReadOptions): Promise<Uint8Array> {
    return (await this.#client.document(this.#call(path, options), MAX_MANIFEST)).bytes;
  }

  #call(path: string, { signal }: ReadOptions): Call {
    return { method: 'GET', path, scope: '', expect: [200], ...(signal && { signal }) };
  }
}

function pathOf(digest: string): string {
  return `blobs/${checkDigest(digest).replace(':', '/')}`;
}
