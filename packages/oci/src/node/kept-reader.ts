import type { ReadOptions } from '@anole/bytes';
import type { BlobOptions, ImageReader, ReferrersOptions } from '../content.ts';
import { checkDigest, isDigest } from '../digest.ts';
import { OciError } from '../errors.ts';
import type { Descriptor } from '../manifest.ts';
import { type Documents, keptBytes, keptDocument } from '../registry/documents.ts';

/**
 * When a registry is asked what a tag stands for: `always`; where it is not known from before, `missing`; `never`. What
 * is named by its digest is what it was.
 */
export const pullPolicies = ['always', 'missing', 'never'] as const;
export type PullPolicy = (typeof pullPolicies)[number];

interface Place {
  /** `HOST/NAME` of its mirrors, and of the repository itself. */
  readonly names: readonly string[];
  readonly documents: Documents;
  readonly pull: PullPolicy;
  /** Reads the repository itself. */
  open(): Promise<ImageReader>;
}

/**
 * A repository of which manifests are kept: what they answer asks nobody, also where the registry is away. Data are the
 * registry's to give, whatever the policy.
 */
export class KeptReader implements ImageReader {
  readonly name: string;
  readonly #place: Place;
  #opened: Promise<ImageReader> | undefined;

  constructor(place: Place) {
    this.name = place.names.at(-1)!;
    this.#place = place;
  }

  /** @throws OciError as {@link resolveDocument} */
  async resolve(selector: string | undefined, options?: ReadOptions): Promise<Descriptor> {
    return (await this.resolveDocument(selector, options)).descriptor;
  }

  /** @throws OciError `OCI_NOT_FOUND` where it is not known from before, and nobody may be asked */
  async resolveDocument(
    selector = 'latest',
    options: ReadOptions = {},
  ): Promise<{ descriptor: Descriptor; bytes: Uint8Array }> {
    const kept = await this.#kept(selector);
    if (kept && (isDigest(selector) || this.#place.pull !== 'always')) return kept;
    try {
      const source = await this.#source(selector);
      const found = await source.resolveDocument?.(selector, options);
      if (found) return found;
      const descriptor = await source.resolve(selector, options);
      return { descriptor, bytes: await source.manifest(descriptor, options) };
    } catch (error) {
      throw kept ? withKept(error, kept.descriptor) : error;
    }
  }

  async manifest(descriptor: Descriptor, options: ReadOptions = {}): Promise<Uint8Array> {
    const digest = checkDigest(descriptor.digest);
    const kept = await keptBytes(this.#place.documents, digest);
    return kept ?? (await (await this.#source(digest)).manifest(descriptor, options));
  }

  async *blob(descriptor: Descriptor, options: BlobOptions = {}): AsyncGenerator<Uint8Array> {
    yield* (await this.#open()).blob(descriptor, options);
  }

  /** Lists of these are not kept. */
  async referrers(
    subject: Pick<Descriptor, 'digest'>,
    options: ReferrersOptions = {},
  ): Promise<readonly Descriptor[]> {
    const source = await this.#source(`referrers of ${subject.digest}`);
    return (await source.referrers?.(subject, options)) ?? [];
  }

  async #kept(selector: string) {
    for (const name of this.#place.names) {
      const kept = await keptDocument(this.#place.documents, name, selector);
      if (kept) return kept;
    }
    return undefined;
  }

  async #source(wanted: string): Promise<ImageReader> {
    if (this.#place.pull !== 'never') return await this.#open();
    throw new OciError(
      'OCI_NOT_FOUND',
      `Cannot find ${wanted} of ${this.name} on this computer, and nobody is to be asked`,
      { hint: 'Ask its registry: --pull missing' },
    );
  }

  /** What could not be opened is tried again. */
  #open(): Promise<ImageReader> {
    this.#opened ??= this.#place.open().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }
}

/** Who cannot ask may do with what the tag was. */
function withKept(error: unknown, { digest }: Descriptor): unknown {
  if (!(error instanceof OciError) || error.code !== 'OCI_UNREACHABLE') return error;
  return new OciError(error.code, error.message, {
    cause: error,
    details: error.details,
    hint: `When it was asked for last it was ${digest}: --pull missing takes that.`,
  });
}
