import { INFLATE_WINDOW, viewOf } from '@anole/bytes';
import { OciError } from '@anole/oci';
import {
  MAP_FILE_SIZE,
  MAP_HEADER_SIZE,
  MAP_MAGIC,
  MAP_SPAN_SIZE,
  MAP_VERSION,
  MapFile,
  MapHeader,
  MapSpan,
  mapCodecs,
} from '../../layout/layer-map.ts';

/** A span as its record has it. */
export type MappedSpan = Omit<ReturnType<typeof MapSpan.read>, 'reserved'>;

/** What a map is made of. */
export interface MapContent {
  readonly codec: keyof typeof mapCodecs;
  readonly storedSize: number;
  readonly size: number;
  /** Where data of files lie in the archive, in its order. */
  readonly files: readonly { readonly start: number; readonly size: number }[];
  readonly spans: readonly MappedSpan[];
}

/**
 * Bytes that a span may be stored in beyond twice those that it decodes to: what does not become smaller is stored as it
 * is, in blocks with headers, and between members of gzip are headers, too.
 */
const STORED_SLACK = 64 * 1024;
/** Bytes of an archive before each file, which is the least that a part of it has; of which there may be a few more. */
const HEADER = 512;
const FEW = 64;
/** Bytes that a window may take as it is stored: what zstd makes of 32 KiB of noise. */
const WINDOW_MAX = 40 * 1024;

export function encodeMap({ codec, storedSize, size, files, spans }: MapContent): Uint8Array {
  const spansAt = MAP_HEADER_SIZE + files.length * MAP_FILE_SIZE;
  const bytes = new Uint8Array(spansAt + spans.length * MAP_SPAN_SIZE);
  const view = viewOf(bytes);
  MapHeader.write(view, 0, {
    magic: MAP_MAGIC,
    version: MAP_VERSION,
    codec: mapCodecs[codec],
    files: files.length,
    spans: spans.length,
    storedSize,
    size,
    windowsSize: spans.reduce((sum, { window }) => sum + window, 0),
  });
  for (const [at, file] of files.entries()) {
    MapFile.write(view, MAP_HEADER_SIZE + at * MAP_FILE_SIZE, file);
  }
  for (const [at, span] of spans.entries()) {
    MapSpan.write(view, spansAt + at * MAP_SPAN_SIZE, span);
  }
  return bytes;
}

/** A map of foreign origin, checked: its records stay bytes, as there may be a million. */
export class LayerMap {
  readonly codec: keyof typeof mapCodecs;
  /** Bytes of the layer, of its archive, and of its windows. */
  readonly storedSize: number;
  readonly size: number;
  readonly windowsSize: number;
  readonly spans: number;
  /** Of each file the first byte in the archive, and that behind its last. */
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  readonly #view: DataView;
  readonly #spansAt: number;
  /** Where windows are stored. */
  readonly #windows: Float64Array;

  /** @throws OciError `OCI_BAD_INDEX`, `OCI_UNSUPPORTED`; AnoleError for numbers of over 53 bits */
  constructor(bytes: Uint8Array) {
    if (bytes.length < MAP_HEADER_SIZE) throw bad(`it has ${bytes.length} bytes`, 0);
    this.#view = viewOf(bytes);
    const header = MapHeader.read(this.#view);
    if (header.magic !== MAP_MAGIC) throw bad('it is none', 0);
    const codec = (['none', 'gzip', 'zstd'] as const)[header.codec];
    if (header.version !== MAP_VERSION || codec === undefined) {
      const what = `version ${header.version}, codec ${header.codec}`;
      throw new OciError('OCI_UNSUPPORTED', `Cannot use the map of a layer: ${what}`);
    }
    this.codec = codec;
    this.storedSize = header.storedSize;
    this.size = header.size;
    this.windowsSize = header.windowsSize;
    this.spans = header.spans;
    this.#spansAt = MAP_HEADER_SIZE + header.files * MAP_FILE_SIZE;
    const wanted = this.#spansAt + header.spans * MAP_SPAN_SIZE;
    if (bytes.length !== wanted) throw bad(`it has ${bytes.length} bytes instead of ${wanted}`, 8);
    const most = header.size / HEADER + FEW;
    if (header.files > most) throw bad(`${header.files} files are over ${most}`, 8);
    if (header.spans > most) throw bad(`${header.spans} spans are over ${most}`, 12);
    this.starts = new Float64Array(header.files);
    this.ends = new Float64Array(header.files);
    this.#readFiles();
    this.#windows = new Float64Array(header.spans + 1);
    this.#readSpans();
  }

  /** The record of a span, digest and all. */
  span(number: number): MappedSpan {
    return MapSpan.read(this.#view, this.#spansAt + number * MAP_SPAN_SIZE);
  }

  /** Its first byte in the archive. */
  outOf(number: number): number {
    return MapSpan.at(this.#view, this.#spansAt + number * MAP_SPAN_SIZE).out;
  }

  /** Bytes that it is stored in. */
  storedSizeOf(number: number): number {
    const { start, end } = MapSpan.at(this.#view, this.#spansAt + number * MAP_SPAN_SIZE);
    return end - start;
  }

  /** Where a window is stored. */
  windowAt(number: number): number {
    return this.#windows[number]!;
  }

  #readFiles(): void {
    if (this.starts.length === 0) return;
    const cursor = MapFile.at(this.#view, MAP_HEADER_SIZE);
    let last = 0;
    for (let at = 0; at < this.starts.length; at++) {
      const place = MAP_HEADER_SIZE + at * MAP_FILE_SIZE;
      cursor.$move(place);
      const { start, size } = cursor;
      const end = start + size;
      if (start < last || size === 0 || end > this.size) {
        throw bad(`a file cannot lie from ${start} to ${end}`, place);
      }
      this.starts[at] = start;
      this.ends[at] = end;
      last = end;
    }
  }

  #readSpans(): void {
    if (this.spans === 0 && this.size > 0) throw bad('it has no spans', 12);
    const cursor = this.spans > 0 ? MapSpan.at(this.#view, this.#spansAt) : undefined;
    let [lastStart, lastEnd, lastOut, windows] = [-1, 0, -1, 0];
    for (let number = 0; number < this.spans; number++) {
      const place = this.#spansAt + number * MAP_SPAN_SIZE;
      cursor!.$move(place);
      const { start, end, out, bits, window } = cursor!;
      // Two may share a byte, some bits of which are of each.
      const isBehind = start > lastStart && start >= lastEnd - 1 && out > lastOut;
      const isInside = start < end && end <= this.storedSize && out < this.size;
      if (!isBehind || !isInside || (number === 0 && out !== 0)) {
        throw bad(`a span from ${start} to ${end} cannot hold byte ${out}`, place);
      }
      if (number > 0) this.#checkLength(lastEnd - lastStart, out - lastOut, number - 1);
      // Its window is the end of the one before, where both come together.
      const isShort = this.codec === 'gzip' && number > 0 && out - lastOut < INFLATE_WINDOW;
      if (isShort) throw bad(`a span before byte ${out} has under 32 KiB`, place);
      const isOfCodec = this.codec === 'gzip' || (bits === 0 && window === 0);
      if (!isOfCodec || bits > 7 || window > WINDOW_MAX) {
        throw bad(`a span begins with ${bits} bits, its window has ${window} bytes`, place);
      }
      this.#windows[number] = windows;
      windows += window;
      [lastStart, lastEnd, lastOut] = [start, end, out];
    }
    if (this.spans > 0) {
      this.#checkLength(lastEnd - lastStart, this.size - lastOut, this.spans - 1);
    }
    if (windows !== this.windowsSize) throw bad(`its windows have ${windows} bytes`, 32);
  }

  #checkLength(stored: number, size: number, number: number): void {
    const isLength = this.codec === 'none' ? stored === size : stored <= 2 * size + STORED_SLACK;
    if (isLength) return;
    const place = this.#spansAt + number * MAP_SPAN_SIZE;
    throw bad(`${stored} bytes are too many, or too few, for a span of ${size}`, place);
  }
}

function bad(why: string, offset: number): OciError {
  return new OciError(
    'OCI_BAD_INDEX',
    `Cannot use the map of a layer: ${why} (byte ${offset} of it)`,
    { details: { offset } },
  );
}
