import { type Digest, isDigest } from './digest.ts';
import { OciError } from './errors.ts';
import { type JsonObject, parseJson } from './json.ts';
import { isIndexType, isManifestType, mediaTypes } from './media-types.ts';
import { fitness, formatPlatform, type Platform, readPlatform, writePlatform } from './platform.ts';

/** What content is: type, digest, size (OCI image-spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes: 0 to 2^53 - 1, as claimed. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  /** In an index: what the manifest is for. */
  readonly platform?: Platform;
}

/** An image, or an artifact (OCI image-spec, manifest.md; Docker's schema 2). */
export interface Manifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** What this is said about: a signature's image, for one. */
  readonly subject?: Descriptor;
}

/** Images for several platforms (OCI image-spec, image-index.md; Docker's manifest list). */
export interface ImageIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly subject?: Descriptor;
}

/** Bytes of a manifest or index at most: what registries must take (distribution-spec). */
export const MAX_MANIFEST = 4 * 1024 * 1024;

/** Layers of an image, and manifests of an index. Docker's limit is 127 layers. */
const MAX_PARTS = 4096;

/**
 * Parses a manifest or an index.
 *
 * @param mediaType what the descriptor or the server said; the document's own must not differ
 * @throws OciError `OCI_BAD_MANIFEST`, `OCI_TOO_LARGE`, `OCI_UNSUPPORTED` (schema 1)
 */
export function parseManifest(bytes: Uint8Array, mediaType?: string): Manifest | ImageIndex {
  if (bytes.length > MAX_MANIFEST) throw tooLarge(bytes.length);
  const json = parseJson(bytes, { what: 'the manifest', code: 'OCI_BAD_MANIFEST' });
  if (json.raw['schemaVersion'] === 1) {
    throw new OciError(
      'OCI_UNSUPPORTED',
      "Cannot use the image: its manifest is of Docker's old schema 1",
    );
  }
  const own = json.optionalString('mediaType');
  const type = own ?? mediaType ?? guess(json);
  // "application/json" and the like of a careless server say nothing.
  if (own !== undefined && mediaType !== undefined && isManifestType(mediaType)) {
    if (own !== mediaType) throw json.wrong('mediaType', `not the expected ${mediaType}`);
  }
  const known = isManifestType(type) ? type : (own ?? guess(json));
  // A document that could be read both ways means different things to different readers.
  if (json.raw['manifests'] !== undefined && json.raw['layers'] !== undefined) {
    throw json.wrong('layers', 'beside "manifests"');
  }
  return isIndexType(known) ? readIndex(json, known) : readManifest(json, known);
}

function guess(json: JsonObject): string {
  return json.raw['manifests'] === undefined ? mediaTypes.manifest : mediaTypes.index;
}

function readManifest(json: JsonObject, mediaType: string): Manifest {
  if (!isManifestType(mediaType)) throw json.wrong('mediaType', `the unknown ${mediaType}`);
  const layers = json.objects('layers');
  if (layers.length > MAX_PARTS) throw json.wrong('layers', `too long: ${layers.length}`);
  const artifactType = json.optionalString('artifactType');
  return {
    kind: 'manifest',
    mediaType,
    config: readDescriptor(json.object('config')),
    layers: layers.map(readDescriptor),
    ...(artifactType !== undefined && { artifactType }),
    ...common(json),
  };
}

function readIndex(json: JsonObject, mediaType: string): ImageIndex {
  const manifests = json.objects('manifests');
  if (manifests.length > MAX_PARTS) throw json.wrong('manifests', `too long: ${manifests.length}`);
  return { kind: 'index', mediaType, manifests: manifests.map(readDescriptor), ...common(json) };
}

function common(json: JsonObject): Pick<Manifest, 'annotations' | 'subject'> {
  const annotations = json.texts('annotations');
  const subject = json.optionalObject('subject');
  return {
    ...(annotations && { annotations }),
    ...(subject && { subject: readDescriptor(subject) }),
  };
}

/** @throws the subject's error for what is no descriptor */
export function readDescriptor(json: JsonObject): Descriptor {
  const digest = json.string('digest');
  if (!isDigest(digest)) throw json.wrong('digest', 'no digest');
  const annotations = json.texts('annotations');
  const artifactType = json.optionalString('artifactType');
  const platform = json.optionalObject('platform');
  return {
    mediaType: json.string('mediaType'),
    digest,
    size: json.count('size'),
    ...(annotations && { annotations }),
    ...(artifactType !== undefined && { artifactType }),
    ...(platform && { platform: readPlatform(platform) }),
  };
}

/** The bytes of a document of ours. Equal values give equal bytes. */
export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** A manifest as its bytes, fields in the order of the specification. */
export function encodeManifest(manifest: Manifest | ImageIndex): Uint8Array {
  const { mediaType, annotations, subject } = manifest;
  const own =
    manifest.kind === 'index'
      ? { manifests: manifest.manifests.map(writeDescriptor) }
      : {
          ...(manifest.artifactType !== undefined && { artifactType: manifest.artifactType }),
          config: writeDescriptor(manifest.config),
          layers: manifest.layers.map(writeDescriptor),
        };
  return encodeJson({
    schemaVersion: 2,
    mediaType,
    ...own,
    ...(subject && { subject: writeDescriptor(subject) }),
    ...(annotations && { annotations }),
  });
}

function writeDescriptor({ platform, ...rest }: Descriptor): Record<string, unknown> {
  return { ...rest, ...(platform && { platform: writePlatform(platform) }) };
}

/**
 * The manifest of an index that runs best on a platform.
 *
 * @throws OciError `OCI_NO_PLATFORM`, which names those that are there
 */
export function selectPlatform(index: ImageIndex, wanted: Platform): Descriptor {
  let best: Descriptor | undefined;
  let fit = 0;
  for (const candidate of index.manifests) {
    if (!isManifestType(candidate.mediaType) || candidate.platform === undefined) continue;
    // An index of an image's layers, or the like, beside the image. Variants of Nydus have a type, too,
    // and say by their features what it takes to read them.
    const { artifactType, platform } = candidate;
    if (artifactType !== undefined && platform.features === undefined) continue;
    const found = fitness(candidate.platform, wanted);
    if (found <= fit) continue;
    best = candidate;
    fit = found;
  }
  if (best) return best;
  const there = platformsOf(index).map(formatPlatform);
  throw new OciError(
    'OCI_NO_PLATFORM',
    `Cannot find the image for ${formatPlatform(wanted)}: it is there for ${there.join(', ') || 'no platform'}`,
    { details: { wanted: formatPlatform(wanted), platforms: there } },
  );
}

/** The platforms of an index, attestations (`unknown/unknown`) left out. */
export function platformsOf(index: ImageIndex): readonly Platform[] {
  const found = index.manifests.flatMap(({ platform }) => (platform ? [platform] : []));
  return found.filter(({ os, architecture }) => os !== 'unknown' || architecture !== 'unknown');
}

export function tooLarge(size: number): OciError {
  return new OciError(
    'OCI_TOO_LARGE',
    `Cannot take a manifest of ${size} bytes: at most ${MAX_MANIFEST} are allowed`,
    { details: { size, limit: MAX_MANIFEST } },
  );
}
