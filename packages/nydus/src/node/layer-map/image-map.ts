import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import type { Source } from '@anole/bytes';
import { systemCode } from '@anole/host';
import { type Descriptor, type Manifest, OciError } from '@anole/oci';
import type { RemoteBlob } from '../cache/remote-blob.ts';
import { LayerLayout } from '../on-demand/layer-layout.ts';
import { spanDevice } from '../on-demand/span-device.ts';
import { LayerMap } from './layer-map.ts';
import { type MapDigests, mapName } from './map-name.ts';
import { mapSpans } from './map-spans.ts';

/** What the manifest of an index as EROFS says that it is. See docs/formats/erofs-index.md. */
export const EROFS_INDEX = 'application/vnd.anole.erofs-index.v2+json';

/** Types and annotations of what such a manifest lists. */
export const mapTypes = {
  names: 'application/vnd.erofs.layer.v1+zstd',
  map: 'application/vnd.anole.layer-map.v1+zstd',
  windows: 'application/vnd.anole.layer-windows.v1',
  layer: 'dev.anole.layer-digest',
} as const;

/** Bytes of names and all maps of an image at most, as they are stored. */
export const STORED_MAX: number = 256 * 1024 * 1024;
/** And decompressed. */
const IMAGE_MAX = 512 * 1024 * 1024;
/** Of one map: it has 16 for a file and 64 for each 256 KiB. */
const MAP_MAX = 64 * 1024 * 1024;

const decompress = promisify(zstdDecompress);

/** What names and maps of one image may still take; one is unpacked at a time, in another thread. */
export class Room {
  /** Bytes as they are stored, and as they are unpacked. */
  stored: number = STORED_MAX;
  left: number = IMAGE_MAX;
  #last: Promise<unknown> = Promise.resolve();

  /** Before a part is fetched. @throws OciError `OCI_TOO_LARGE` */
  take({ digest, size }: Pick<Descriptor, 'digest' | 'size'>): void {
    if (size > this.stored) {
      const what = `${digest} of an index: its parts have over ${STORED_MAX} bytes`;
      throw new OciError('OCI_TOO_LARGE', `Cannot take ${what}`);
    }
    this.stored -= size;
  }

  /** @throws OciError `OCI_TOO_LARGE`, `OCI_WRONG_CONTENT` */
  async unpack(stored: Uint8Array, what: string, bound: number = IMAGE_MAX): Promise<Uint8Array> {
    const unpacked = this.#last.then(() => this.#unpack(stored, what, bound));
    this.#last = unpacked.catch(() => undefined);
    return await unpacked;
  }

  async #unpack(stored: Uint8Array, what: string, bound: number): Promise<Uint8Array> {
    const most = Math.min(bound, this.left);
    try {
      const bytes = await decompress(stored, { maxOutputLength: Math.max(most, 1) });
      this.left -= bytes.length;
      return bytes;
    } catch (cause) {
      const isTooLarge = systemCode(cause) === 'ERR_BUFFER_TOO_LARGE';
      const why = isTooLarge ? `has over ${most} bytes` : 'is no zstd';
      const code = isTooLarge ? 'OCI_TOO_LARGE' : 'OCI_WRONG_CONTENT';
      throw new OciError(code, `Cannot take ${what}: it ${why}`, { cause });
    }
  }
}

/** An index of an image as EROFS; JSON, so that it can be handed on. */
export interface ImageMap {
  /** An EROFS image of all names and attributes, whose devices are the layers that have data of files. */
  readonly names: Descriptor;
  /** By the digests of layers. */
  readonly layers: Readonly<Record<string, MappedLayer>>;
}

export interface MappedLayer {
  readonly map: Descriptor;
  /** Absent where none of its spans needs one. */
  readonly windows?: Descriptor;
}

/**
 * What an index says; undefined where it is one of other layers, as of those that an image had before it was changed.
 *
 * @throws OciError `OCI_BAD_INDEX` where it has no names
 */
export function imageMapOf(
  { layers }: Pick<Manifest, 'layers'>,
  image: Pick<Manifest, 'layers'>,
): ImageMap | undefined {
  const ofType = (type: string) => layers.filter(({ mediaType }) => mediaType === type);
  const byLayer = (type: string) =>
    new Map(ofType(type).map((each) => [each.annotations?.[mapTypes.layer], each]));
  const [names] = ofType(mapTypes.names);
  const maps = byLayer(mapTypes.map);
  const windows = byLayer(mapTypes.windows);
  if (names === undefined) throw bad('it has no names');
  const digests = new Set(image.layers.map(({ digest }) => digest));
  if (digests.size !== maps.size) return undefined;
  const mapped: [string, MappedLayer][] = [];
  for (const digest of digests) {
    const map = maps.get(digest);
    if (map === undefined) return undefined;
    const before = windows.get(digest);
    mapped.push([digest, { map, ...(before && { windows: before }) }]);
  }
  return { names, layers: Object.fromEntries(mapped) };
}

/** @throws OciError `OCI_TOO_LARGE`, `OCI_WRONG_CONTENT` */
export async function unpackNames(stored: Uint8Array, room: Room): Promise<Uint8Array> {
  return await room.unpack(stored, 'the names of an image');
}

/** @throws OciError `OCI_TOO_LARGE`, `OCI_WRONG_CONTENT`, `OCI_BAD_INDEX`, `OCI_UNSUPPORTED` */
export async function unpackMap(stored: Uint8Array, room: Room): Promise<LayerMap> {
  return new LayerMap(await room.unpack(stored, 'the map of a layer', MAP_MAX));
}

/**
 * A layer as a device of the EROFS image of names.
 *
 * @param digests of the map and of windows, as they are stored
 * @param stored the layer, and `windows` its windows: each read is a request
 * @throws OciError `OCI_BAD_INDEX` for the map of another layer, `OCI_UNSUPPORTED` for spans that are too large
 */
export function mappedDevice(
  map: LayerMap,
  digests: MapDigests,
  digest: string,
  stored: Source,
  windows: Source,
): RemoteBlob {
  if (stored.size !== map.storedSize || windows.size !== map.windowsSize) {
    const met = `${stored.size} and windows of ${windows.size}`;
    const wanted = `${map.storedSize} and ${map.windowsSize}`;
    throw bad(`its map of ${digest} is for ${wanted} bytes, not ${met}`);
  }
  const layout = new LayerLayout(map.starts, map.ends);
  const id = `${digest} map ${mapName(digests)}`;
  const remote = spanDevice(id, { spans: mapSpans(map, windows), layout, digest }, stored);
  const close = async () => {
    await stored.close?.();
    await windows.close?.();
  };
  return { ...remote, close };
}

function bad(why: string): OciError {
  return new OciError('OCI_BAD_INDEX', `Cannot use the index of an image: ${why}`);
}
