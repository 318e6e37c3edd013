import type { Descriptor } from '@anole/oci';

/** Source: nydus contrib/nydusify/pkg/utils/constant.go. */
export const NYDUS_FEATURE = 'nydus.remoteimage.v1';
export const NYDUS_ARTIFACT = 'application/vnd.nydus.image.manifest.v1+json';
export const rafsAnnotations = {
  blob: 'containerd.io/snapshot/nydus-blob',
  bootstrap: 'containerd.io/snapshot/nydus-bootstrap',
  version: 'containerd.io/snapshot/nydus-fs-version',
  /** The layer that has the data of a blob. Source: nydus-snapshotter pkg/label/label.go. */
  reference: 'containerd.io/snapshot/nydus-ref',
} as const;

/** The layer of a manifest that holds a bootstrap; undefined where it is no image of Nydus. */
export function bootstrapLayer(layers: readonly Descriptor[]): Descriptor | undefined {
  const last = layers.at(-1);
  return last?.annotations?.[rafsAnnotations.bootstrap] === 'true' ? last : undefined;
}
