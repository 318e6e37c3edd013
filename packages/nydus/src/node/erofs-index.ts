import { constants, zstdCompressSync } from 'node:zlib';
import { memorySource } from '@anole/bytes';
import { indexMembers, type TarIndex } from '@anole/erofs';
import {
  type Descriptor,
  describe,
  hintAnnotations,
  type Image,
  type ImageWriter,
  type LayerIndex,
  layerCompression,
  layerSpans,
  membersOfImage,
} from '@anole/oci';
import { type IndexLayerOptions, indexLayer, openBlob, putIndex } from '@anole/oci/node';
import type { TarMember } from '@anole/vfs';
import { fromHex } from '../hex.ts';
import { type ByteRange, near } from './cache/ranges.ts';
import { commandNeeds } from './command/needs.ts';
import { addRanges } from './device-ranges.ts';
import { deviceSource } from './layer-map/device-source.ts';
import { GzipSpanMaker } from './layer-map/gzip-spans.ts';
import { EROFS_INDEX, mappedDevice, mapTypes } from './layer-map/image-map.ts';
import { encodeMap, LayerMap, type MapContent } from './layer-map/layer-map.ts';
import { namesImage } from './names-image.ts';
import { LayerLayout } from './on-demand/layer-layout.ts';
import type { Trace } from './trace.ts';

/** Ranges that are wanted first are made one where at most so many bytes lie between. */
const GAP = 16 * 1024;
/** Of zstd: a map is made once, and read before anything else is. */
const LEVEL = 19;

export interface ErofsIndexOptions extends Omit<IndexLayerOptions, 'watch'> {
  /** Who makes it, as its annotation says. */
  readonly tool: string;
  /** What a workload reads, which is to be fetched first. Default what the image's command needs. */
  readonly trace?: Trace;
}

/** A layer that was read, and its map. */
interface Mapped {
  readonly members: readonly TarMember[];
  readonly map: LayerMap;
  readonly stored: Uint8Array;
  readonly windows: Uint8Array;
}

/**
 * Makes the index of an image as EROFS: all names, attributes and places of its files in one EROFS image, whose devices
 * are the layers, and for each a map by which its parts are read (docs/formats/erofs-index.md).
 *
 * @example
 * const maker = new ErofsIndexMaker();
 * const indexes = [];
 * for (const layer of layers) indexes.push(await indexLayer(reader, layer, { watch: maker.watch }));
 * await maker.put(image, indexes, to, image.descriptor, { tool: 'it' });
 */
export class ErofsIndexMaker {
  readonly #span: number | undefined;
  readonly #spans = new Map<string, GzipSpanMaker>();

  /** @param span bytes of a span of gzip, at least: 32 KiB or more. Default 256 KiB */
  constructor(span?: number) {
    this.#span = span;
  }

  /** Sees the bytes of each layer as `indexLayer` reads them. */
  readonly watch = ({ mediaType, digest }: Descriptor) => {
    if (layerCompression(mediaType) !== 'gzip') return undefined;
    const maker = new GzipSpanMaker(this.#span);
    this.#spans.set(digest, maker);
    return (chunk: Uint8Array) => maker.push(chunk);
  };

  /**
   * Puts it.
   *
   * @param indexes of the layers of the image, in their order, all of which were watched
   * @param subject the image that lists it; undefined for an index that the image names
   * @throws OciError `OCI_UNSUPPORTED` where a layer has a part that is too large
   */
  async put(
    image: Image,
    indexes: readonly LayerIndex[],
    to: ImageWriter,
    subject: Descriptor | undefined,
    options: ErofsIndexOptions,
  ): Promise<Descriptor> {
    const { layers } = image.manifest;
    const known = new Map<string, Mapped>();
    const mapped = indexes.map((index, at) => {
      const layer = layers[at]!;
      // An image may have a layer twice.
      const found = known.get(layer.digest) ?? this.#map(layer, index);
      known.set(layer.digest, found);
      return found;
    });
    const maps = await Promise.all(mapped.map((each) => describe(mapTypes.map, each.stored)));
    await using archives = new AsyncDisposableStack();
    const opened = mapped.map(({ map, windows, members }, at) => {
      const { digest } = layers[at]!;
      const far = openBlob(image.reader, layers[at]!);
      const device = mappedDevice(map, { map: maps[at]! }, digest, far, memorySource(windows));
      const archive = archives.adopt(deviceSource(device), (each) => each.close?.());
      const layout = new LayerLayout(map.starts, map.ends);
      return { members, archive, placeOf: (offset: number) => layout.placeOf(offset) };
    });
    const index = await indexMembers(opened);
    const { signal } = options;
    const names = zstdCompressSync(await namesImage(index, signal ? { signal } : {}));
    const first = await wantedFirst(image, index, options);
    const content = [await putBytes(to, mapTypes.names, names, options)];
    const devices = opened.filter(({ archive }) => archive.size > 0);
    for (const [at, { stored, windows }] of mapped.entries()) {
      const marks = { [mapTypes.layer]: layers[at]!.digest };
      const hints = hintAnnotations({
        metadata: [],
        first: first[devices.indexOf(opened[at]!)] ?? [],
      });
      const map = await putBytes(to, mapTypes.map, stored, options);
      content.push({ ...map, annotations: { ...marks, ...hints } });
      if (windows.length === 0) continue;
      const before = await putBytes(to, mapTypes.windows, windows, options);
      content.push({ ...before, annotations: marks });
    }
    return await putIndex(to, EROFS_INDEX, content, subject, options);
  }

  #map(layer: Descriptor, index: LayerIndex): Mapped {
    const members = [...membersOfImage(layer, index.members)];
    const { content, windows } = this.#content(layer, index, members);
    const bytes = encodeMap(content);
    const stored = zstdCompressSync(bytes, {
      params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
    });
    return { members, map: new LayerMap(bytes), stored, windows: Buffer.concat(windows) };
  }

  #content({ digest }: Descriptor, index: LayerIndex, members: readonly TarMember[]) {
    const { compressedSize: storedSize, size, gzip, parts } = index;
    const { starts, ends } = LayerLayout.of(members, size);
    const files = Array.from(starts, (start, at) => ({ start, size: ends[at]! - start }));
    const made = gzip && this.#spans.get(digest)!.finish();
    const codec = gzip ? 'gzip' : parts ? 'zstd' : 'none';
    const spans = made?.spans ?? spansOf(index);
    const content: MapContent = { codec, storedSize, size, files, spans };
    return { content, windows: made?.windows ?? [] };
  }
}

/** Spans that bring all that they are decoded with. */
function spansOf(index: LayerIndex): MapContent['spans'] {
  const spans = layerSpans(index);
  return Array.from({ length: spans.count }, (_, number) => {
    const { start, end, out, storedDigest } = spans.at(number);
    return { start, end, out, bits: 0, window: 0, digest: fromHex(storedDigest!) };
  });
}

/** Of each device what is to be fetched first. */
async function wantedFirst(
  { config }: Image,
  index: TarIndex,
  { trace, signal }: ErofsIndexOptions,
): Promise<readonly ByteRange[][]> {
  const ranges = index.external.devices.map((): ByteRange[] => []);
  const call = signal ? { signal } : {};
  const wanted = trace ?? (await commandNeeds(index.tree, config.execution, call));
  await addRanges(index, wanted, ranges, signal);
  return ranges.map((each) => near(each, GAP));
}

async function putBytes(
  to: ImageWriter,
  mediaType: string,
  bytes: Uint8Array,
  { signal }: ErofsIndexOptions,
): Promise<Descriptor> {
  const descriptor = await describe(mediaType, bytes);
  await to.putBlob(descriptor, piece(bytes), signal ? { signal } : {});
  return descriptor;
}

/** All of a blob, from a byte on. */
function piece(bytes: Uint8Array) {
  return async function* (start: number): AsyncGenerator<Uint8Array> {
    if (start < bytes.length) yield bytes.subarray(start);
  };
}

/**
 * Makes the index of an image as EROFS. Each layer is read once.
 *
 * @param subject the image that lists it; undefined for an index that the image names
 * @throws OciError `OCI_UNSUPPORTED` where a layer cannot have an index; `OCI_WRONG_CONTENT`
 */
export async function indexAsErofs(
  image: Image,
  to: ImageWriter,
  subject: Descriptor | undefined,
  options: ErofsIndexOptions,
): Promise<Descriptor> {
  const maker = new ErofsIndexMaker(options.span);
  const indexes: LayerIndex[] = [];
  for (const layer of image.manifest.layers) {
    indexes.push(await indexLayer(image.reader, layer, { ...options, watch: maker.watch }));
  }
  return await maker.put(image, indexes, to, subject, options);
}
