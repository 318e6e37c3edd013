import { OciError } from './errors.ts';

/** Media types of OCI (image-spec, media-types.md) and of Docker's schema 2, which mean the same. */
export const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  empty: 'application/vnd.oci.empty.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  erofsLayer: 'application/vnd.erofs.layer.v1',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
} as const;

const indexes: ReadonlySet<string> = new Set([mediaTypes.index, mediaTypes.dockerIndex]);
const manifests: ReadonlySet<string> = new Set([mediaTypes.manifest, mediaTypes.dockerManifest]);

/** What is asked of registries, the best first. */
export const manifestTypes: readonly string[] = [
  mediaTypes.index,
  mediaTypes.manifest,
  mediaTypes.dockerIndex,
  mediaTypes.dockerManifest,
];

export function isIndexType(mediaType: string): boolean {
  return indexes.has(mediaType);
}

/** True for manifests and indexes: what is kept by references, and refers to others. */
export function isManifestType(mediaType: string): boolean {
  return manifests.has(mediaType) || indexes.has(mediaType);
}

export function isConfigType(mediaType: string): boolean {
  return mediaType === mediaTypes.config || mediaType === mediaTypes.dockerConfig;
}

export type Compression = 'none' | 'gzip' | 'zstd';

/**
 * How a tar layer is compressed, undefined for what is no tar layer. Layers that must not be
 * distributed (`nondistributable`, `foreign`) are read like the others.
 */
export function layerCompression(mediaType: string): Compression | undefined {
  const found =
    /^application\/vnd\.oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+(gzip|zstd))?$/.exec(
      mediaType,
    ) ??
    /^application\/vnd\.docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.(gzip|zstd))?$/.exec(
      mediaType,
    );
  return found === null ? undefined : ((found[1] as Compression | undefined) ?? 'none');
}

/** @throws OciError `OCI_UNSUPPORTED` for what is no tar layer */
export function layerCompressionOf(mediaType: string): Compression {
  const found = layerCompression(mediaType);
  if (found !== undefined) return found;
  throw new OciError('OCI_UNSUPPORTED', `Cannot unpack a layer of the type ${mediaType}`, {
    hint: 'Encrypted layers and artifacts are no file systems.',
  });
}
