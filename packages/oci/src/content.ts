import type { CallOptions, ReadOptions } from '@anole/bytes';
import { type ImageConfig, MAX_CONFIG, parseConfig } from './config.ts';
import { digestOf, verifyDigest } from './digest.ts';
import { OciError } from './errors.ts';
import {
  type Descriptor,
  type ImageIndex,
  MAX_MANIFEST,
  type Manifest,
  parseManifest,
  selectPlatform,
  tooLarge,
} from './manifest.ts';
import { isIndexType } from './media-types.ts';
import type { Platform } from './platform.ts';

export interface BlobOptions extends ReadOptions {
  /** First byte wanted. Default 0. */
  readonly start?: number;
  /** Byte after the last one wanted. Default the blob's size. */
  readonly end?: number;
  /** Whether to ask the source itself, past mirrors and caches: what they gave was wrong. Default false. */
  readonly fresh?: boolean;
  /** Whether a chunk may be written over once the next one is asked for. Default false: chunks pass to the reader. */
  readonly lent?: boolean;
}

export interface ReferrersOptions extends ReadOptions {
  /** Only those of this type. */
  readonly artifactType?: string;
}

/** A repository of a registry, which may have a blob that another repository wants. */
export interface Origin {
  readonly host: string;
  readonly repository: string;
}

export interface PutOptions extends CallOptions {
  /** Where else the bytes may be: a registry takes over what it has in another repository. */
  readonly origins?: readonly Origin[];
}

/**
 * Where images are read from: a registry's repository, a layout, an archive, the local store. What
 * it gives is not verified: {@link readManifest} and those who keep blobs do that.
 */
export interface ImageReader {
  /** For messages: the reference or the path. */
  readonly name: string;
  /**
   * What a tag or a digest stands for; without one, the only image that is there.
   *
   * @throws OciError `OCI_NOT_FOUND`
   */
  resolve(selector: string | undefined, options?: ReadOptions): Promise<Descriptor>;
  /** The same with the bytes that it stands for, where that takes one request instead of two. */
  resolveDocument?(
    selector: string | undefined,
    options?: ReadOptions,
  ): Promise<{ readonly descriptor: Descriptor; readonly bytes: Uint8Array }>;
  /** A manifest's or an index's bytes, at most `MAX_MANIFEST`. */
  manifest(descriptor: Descriptor, options?: ReadOptions): Promise<Uint8Array>;
  /** A blob's bytes from `start` to `end`, in chunks that pass to the reader. */
  blob(descriptor: Descriptor, options?: BlobOptions): AsyncIterable<Uint8Array>;
  /** The file of a blob, where blobs are files that stay. It must only be read. */
  pathOf?(descriptor: Descriptor): string;
  /** Manifests that say something about another: indexes, signatures, bills of materials. */
  referrers?(
    subject: Pick<Descriptor, 'digest'>,
    options?: ReferrersOptions,
  ): Promise<readonly Descriptor[]>;
  /** Of a repository of a registry. */
  readonly origin?: Origin;
  close?(): void;
}

/** Where images are written to. Content appears whole and verified, or not at all. */
export interface ImageWriter {
  readonly name: string;
  /** Whether `putBlob` is done with a chunk when it asks for the next: then its memory can be used again. */
  readonly takesLent?: boolean;
  /** Whether content is there. */
  has(descriptor: Descriptor, options?: ReadOptions): Promise<boolean>;
  /**
   * Keeps a blob. `open` gives its bytes from an offset, and may be called again.
   *
   * @throws OciError, HostError where they are not those of the descriptor
   */
  putBlob(
    descriptor: Descriptor,
    open: (start: number) => AsyncIterable<Uint8Array>,
    options?: PutOptions,
  ): Promise<void>;
  /** Keeps a manifest or an index; `tag` names it. What it refers to has been put before. */
  putManifest(
    descriptor: Descriptor,
    bytes: Uint8Array,
    tag: string | undefined,
    options?: ReadOptions,
  ): Promise<void>;
  /** Directory of this computer where a file lies that {@link adopt} can take over. */
  readonly workspace?: string;
  /**
   * Takes over a file as a blob, instead of copying it. The caller has made sure that it is that of the
   * descriptor.
   */
  adopt?(descriptor: Descriptor, path: string): Promise<void>;
  /** Completes what is written as a whole, as an archive. Nothing is put afterwards. */
  finish?(options?: CallOptions): Promise<void>;
}

/** A manifest or index, verified, with its bytes. */
export interface ManifestDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly content: Manifest | ImageIndex;
}

/** @throws OciError `OCI_WRONG_CONTENT`, `OCI_BAD_MANIFEST`, `OCI_TOO_LARGE` … */
export async function readManifest(
  reader: ImageReader,
  descriptor: Descriptor,
  options: ReadOptions = {},
): Promise<ManifestDocument> {
  if (descriptor.size > MAX_MANIFEST) throw tooLarge(descriptor.size);
  const bytes = await reader.manifest(descriptor, options);
  return await verifiedDocument(reader, descriptor, bytes);
}

/** What a name stands for, verified, in as few requests as the reader can. @throws OciError as {@link readManifest} */
export async function readNamed(
  reader: ImageReader,
  selector: string | undefined,
  options: ReadOptions = {},
): Promise<ManifestDocument> {
  const found = await reader.resolveDocument?.(selector, options);
  if (found) return await verifiedDocument(reader, found.descriptor, found.bytes);
  return await readManifest(reader, await reader.resolve(selector, options), options);
}

async function verifiedDocument(
  reader: ImageReader,
  descriptor: Descriptor,
  bytes: Uint8Array,
): Promise<ManifestDocument> {
  await verify(bytes, descriptor, reader);
  return { descriptor, bytes, content: parseManifest(bytes, descriptor.mediaType) };
}

/** @throws OciError `OCI_WRONG_CONTENT`, `OCI_BAD_CONFIG`, `OCI_TOO_LARGE` … */
export async function readConfig(
  reader: ImageReader,
  descriptor: Descriptor,
  options: ReadOptions = {},
): Promise<ImageConfig> {
  return parseConfig(await readBlob(reader, descriptor, MAX_CONFIG, options));
}

/**
 * A small blob as one piece, verified.
 *
 * @throws OciError `OCI_TOO_LARGE` beyond `limit` bytes
 */
export async function readBlob(
  reader: ImageReader,
  descriptor: Descriptor,
  limit: number,
  options: ReadOptions = {},
): Promise<Uint8Array> {
  const bytes = await gather(reader.blob(descriptor, options), Math.min(limit, descriptor.size));
  await verify(bytes, descriptor, reader);
  return bytes;
}

/**
 * A stream as one piece.
 *
 * @throws OciError `OCI_TOO_LARGE` where it has over `limit` bytes
 */
export async function gather(
  stream: AsyncIterable<Uint8Array>,
  limit: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length > limit) {
      throw new OciError('OCI_TOO_LARGE', `Cannot take a document of over ${limit} bytes`, {
        details: { limit },
      });
    }
    parts.push(part);
  }
  if (parts.length === 1) return parts[0]!;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

async function verify(bytes: Uint8Array, { digest, size }: Descriptor, { name }: ImageReader) {
  if (bytes.length !== size) {
    throw new OciError(
      'OCI_WRONG_CONTENT',
      `Cannot accept ${digest} of ${name}: it has ${bytes.length} bytes instead of ${size}`,
    );
  }
  await verifyDigest(bytes, digest, `content of ${name}`);
}

/** An image of one platform. */
export interface Image {
  readonly reader: ImageReader;
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

/** Indexes in indexes at most. */
const MAX_NESTING = 4;
/** Documents of one image, and their bytes, which are in memory together. */
const MAX_DOCUMENTS = 10_000;
const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024;

/**
 * Finds the manifest for a platform behind a descriptor. An image of its own needs no platform.
 *
 * @throws OciError `OCI_NO_PLATFORM` where an index has no such image
 */
export async function findManifest(
  reader: ImageReader,
  descriptor: Descriptor,
  platform: Platform,
  options: ReadOptions = {},
): Promise<ManifestDocument & { readonly content: Manifest }> {
  return await manifestIn(
    reader,
    await readManifest(reader, descriptor, options),
    platform,
    options,
  );
}

/** The manifest for a platform in a document that has been read. @throws OciError as {@link findManifest} */
export async function manifestIn(
  reader: ImageReader,
  from: ManifestDocument,
  platform: Platform,
  options: ReadOptions = {},
): Promise<ManifestDocument & { readonly content: Manifest }> {
  let document = from;
  for (let depth = 0; document.content.kind === 'index'; depth++) {
    if (depth === MAX_NESTING) throw tooDeep(reader);
    const index = document.content;
    document = await readManifest(
      reader,
      onlyOne(index) ?? selectPlatform(index, platform),
      options,
    );
  }
  return document as ManifestDocument & { readonly content: Manifest };
}

/** A layout's index that says no platforms: it is the image that decides. */
function onlyOne({ manifests }: ImageIndex): Descriptor | undefined {
  const [only] = manifests;
  return manifests.length === 1 && only?.platform === undefined ? only : undefined;
}

/** Opens the image for a platform: manifest and configuration. */
export async function openImage(
  reader: ImageReader,
  descriptor: Descriptor,
  platform: Platform,
  options: ReadOptions = {},
): Promise<Image> {
  const found = await findManifest(reader, descriptor, platform, options);
  const config = await readConfig(reader, found.content.config, options);
  return { reader, descriptor: found.descriptor, manifest: found.content, config };
}

/** A manifest's or configuration's descriptor. */
export async function describe(mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  return { mediaType, digest: await digestOf(bytes), size: bytes.length };
}

/**
 * All documents that a descriptor leads to: itself first, then those of an index. What `wanted`
 * refuses is left out, unread.
 *
 * @throws OciError as {@link readManifest}; `OCI_BAD_MANIFEST` for indexes in indexes without end, and
 * `OCI_TOO_LARGE` for more than 10,000 documents or 64 MiB of them
 */
export async function readGraph(
  reader: ImageReader,
  root: Descriptor,
  options: ReadOptions & { wanted?(descriptor: Descriptor): boolean } = {},
): Promise<readonly ManifestDocument[]> {
  const found = new Map<string, ManifestDocument>();
  let level: readonly Descriptor[] = [root];
  let bytes = 0;
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_NESTING) throw tooDeep(reader);
    const next: Descriptor[] = [];
    for (const descriptor of level) {
      if (found.has(descriptor.digest)) continue;
      const document = await readManifest(reader, descriptor, options);
      found.set(descriptor.digest, document);
      bytes += document.bytes.length;
      if (found.size > MAX_DOCUMENTS || bytes > MAX_DOCUMENT_BYTES) throw tooMany(reader);
      if (document.content.kind === 'manifest') continue;
      next.push(...document.content.manifests.filter((each) => options.wanted?.(each) ?? true));
    }
    level = next;
  }
  return [...found.values()];
}

function tooMany({ name }: ImageReader): OciError {
  return new OciError(
    'OCI_TOO_LARGE',
    `Cannot read ${name}: its indexes lead to over ${MAX_DOCUMENTS} manifests, or ${MAX_DOCUMENT_BYTES} bytes of them`,
    { hint: 'Name the image of one platform: --platform' },
  );
}

function tooDeep({ name }: ImageReader): OciError {
  return new OciError(
    'OCI_BAD_MANIFEST',
    `Cannot read ${name}: its indexes nest over ${MAX_NESTING} levels`,
  );
}

/** The blobs of a document: configuration and layers; none for an index. */
export function blobsOf({ content }: ManifestDocument): readonly Descriptor[] {
  return content.kind === 'index' ? [] : [content.config, ...content.layers];
}

export function isIndex({ mediaType }: Descriptor): boolean {
  return isIndexType(mediaType);
}
