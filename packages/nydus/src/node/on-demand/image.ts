import type { Source } from '@anole/bytes';
import type { ErofsTree } from '@anole/erofs';
import { type Descriptor, dmverityOf, mediaTypes } from '@anole/oci';
import { hasToc } from '@anole/oci/node';
import type { CachedBlob } from '../cache/blob.ts';
import type { ImageMap } from '../layer-map/image-map.ts';
import { mapName } from '../layer-map/map-name.ts';
import { bootstrapLayer } from '../rafs-layers.ts';

/** An image whose files can be read by ranges, and how; JSON, so that it can be handed on. */
export interface OnDemandReference {
  /** As the user wrote it, `indexed:` left out. */
  readonly name: string;
  /** The lowest first. */
  readonly layers: readonly Descriptor[];
  /** Says what the image runs. Needed by nobody. */
  readonly config?: Descriptor;
  /** Ztocs of layers, by the layers' digests. */
  readonly ztocs?: Readonly<Record<string, Descriptor>>;
  /** Its index as EROFS, which is taken before all others. */
  readonly map?: ImageMap;
  /**
   * Whether a table of contents is believed that lies at the end of a layer of which the manifest does not
   * speak: whoever serves the layer could have made it.
   */
  readonly anyIndex?: boolean;
}

/** Gives bytes of what an image is made of: layers, indexes. Each read of a Source may be a request. */
export interface ImageBlobs {
  source(blob: Descriptor): Source;
  /** What came was wrong: from now on the source itself is asked, past mirrors and caches on the way. */
  distrust?(): void;
  close?(): void;
}

/** An image whose data come when they are read. */
export interface OnDemandImage {
  /** Names all bytes of the image and its devices. */
  readonly digest: string;
  /** What the kernel mounts as EROFS, and then its devices in their order. */
  readonly blobs: readonly CachedBlob[];
  readonly tree: ErofsTree;
  /** Brings all that is not data of files: a kernel that mounts the image waits for data only. */
  loadMetadata(): Promise<void>;
  close(): Promise<void>;
}

/** A form in which files of an image can be read without fetching it whole. */
export type OnDemandForm =
  /** One EROFS layer, protected by dm-verity's hashes, as `anole image convert` makes it. */
  | 'erofs'
  /** A bootstrap of RAFS and blobs. */
  | 'rafs'
  /** Layers that are archives, with an index as EROFS of all together. */
  | 'mapped'
  /** Layers that are archives, of which some have indexes. */
  | 'layers';

/** The form of an image; undefined where it has to be fetched whole. */
export function onDemandForm({
  layers,
  map,
  ztocs = {},
  anyIndex = false,
}: Omit<OnDemandReference, 'name'>): OnDemandForm | undefined {
  const [only] = layers;
  if (layers.length === 1 && only && isOnDemand(only)) return 'erofs';
  if (bootstrapLayer(layers)) return 'rafs';
  if (map) return 'mapped';
  const isIndexed = anyIndex || layers.some((each) => ztocs[each.digest] || hasToc(each));
  return isIndexed ? 'layers' : undefined;
}

/** Whether a layer is EROFS that can be verified range by range. */
export function isOnDemand(layer: Descriptor): boolean {
  return layer.mediaType === mediaTypes.erofsLayer && dmverityOf(layer) !== undefined;
}

/** Names what a reference opens: images with one key are the same. */
export function keyOf({ layers, map, ztocs = {}, anyIndex = false }: OnDemandReference): string {
  const indexOf = (digest: string) => {
    const mapped = map?.layers[digest];
    return mapped ? mapName(mapped) : (ztocs[digest]?.digest ?? '');
  };
  const parts = layers.map(({ digest }) => `${digest} ${indexOf(digest)}`);
  const key = `${anyIndex} ${parts.join(' ')}`;
  return map ? `${key} ${map.names.digest}` : key;
}
