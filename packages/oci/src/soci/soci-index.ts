import type { Descriptor, Manifest } from '../manifest.ts';
import { layerCompression, mediaTypes } from '../media-types.ts';

/** Types and annotations of SOCI. Source: soci-snapshotter soci/soci_index.go. */
export const soci = {
  /** An index that refers to its image, and is found by the list of its referrers. */
  v1: 'application/vnd.amazon.soci.index.v1+json',
  /** One that the image refers to, by an annotation. */
  v2: 'application/vnd.amazon.soci.index.v2+json',
  ztoc: 'application/octet-stream',
  /** Ours, of a zstd layer. Its layer has another annotation, too, so that SOCI's own readers pass over it. */
  zstdZtoc: 'application/vnd.anole.zstd-ztoc.v1',
  zstdLayerDigest: 'io.github.anole.zstd-layer-digest',
  layerDigest: 'com.amazon.soci.image-layer-digest',
  layerType: 'com.amazon.soci.image-layer-mediaType',
  spanSize: 'com.amazon.soci.span-size',
  tool: 'com.amazon.soci.build-tool-identifier',
  indexDigest: 'com.amazon.soci.index-digest',
  manifestDigest: 'com.amazon.soci.image-manifest-digest',
} as const;

/** The digest of `{}`, the configuration of all SOCI indexes. */
const EMPTY_DIGEST = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
export const emptyConfig: Uint8Array = new TextEncoder().encode('{}');

export type SociVersion = 'v1' | 'v2';

/**
 * The manifest of an index of an image, or of one that is made like those.
 *
 * @param type of its configuration, by which it is told
 * @param subject the image that lists it; undefined for an index that the image names
 */
export function indexManifest(
  type: string,
  layers: readonly Descriptor[],
  subject: Descriptor | undefined,
  tool: string,
): Manifest {
  return {
    kind: 'manifest',
    mediaType: mediaTypes.manifest,
    config: { mediaType: type, digest: EMPTY_DIGEST, size: emptyConfig.length },
    layers,
    ...(subject && {
      subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
    }),
    annotations: { [soci.tool]: tool },
  };
}

/** A ztoc, as its index describes it. */
export function describeZtoc(
  ztoc: Pick<Descriptor, 'digest' | 'size'>,
  layer: Descriptor,
  span: number,
): Descriptor {
  const isZstd = layerCompression(layer.mediaType) === 'zstd';
  return {
    mediaType: isZstd ? soci.zstdZtoc : soci.ztoc,
    digest: ztoc.digest,
    size: ztoc.size,
    annotations: {
      [soci.layerType]: layer.mediaType,
      [isZstd ? soci.zstdLayerDigest : soci.layerDigest]: layer.digest,
      [soci.spanSize]: String(span),
    },
  };
}

export function isSociIndex({ config }: Manifest): boolean {
  return config.mediaType === soci.v1 || config.mediaType === soci.v2;
}

/** The ztocs of an index, by the digests of their layers. */
export function ztocsOf({ layers }: Manifest): ReadonlyMap<string, Descriptor> {
  const found = new Map<string, Descriptor>();
  for (const layer of layers) {
    const key = layer.mediaType === soci.zstdZtoc ? soci.zstdLayerDigest : soci.layerDigest;
    const digest = layer.annotations?.[key];
    if (digest !== undefined && isZtoc(layer)) found.set(digest, layer);
  }
  return found;
}

function isZtoc({ mediaType }: Descriptor): boolean {
  return mediaType === soci.ztoc || mediaType === soci.zstdZtoc;
}
