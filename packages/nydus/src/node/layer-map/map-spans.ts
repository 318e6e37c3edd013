import { zstdDecompressSync } from 'node:zlib';
import { GzipSpanDecoder, INFLATE_WINDOW, type ReadOptions, type Source } from '@anole/bytes';
import { hostInflate } from '@anole/host';
import { OciError } from '@anole/oci';
import { decodeZstdPart } from '@anole/oci/node';
import { toHex } from '../../hex.ts';
import type { LayerSpans } from '../on-demand/span-device.ts';
import type { LayerMap } from './layer-map.ts';

type Decode = NonNullable<LayerSpans['decode']>;

/**
 * The spans of a layer by its map.
 *
 * @param windows as they are stored, each read of which is a request; nothing of it is verified but by what it leads to
 */
export function mapSpans(map: LayerMap, windows: Source): LayerSpans {
  const isGzip = map.codec === 'gzip';
  return {
    size: map.size,
    count: map.spans,
    at(number) {
      const { start, end, out, digest: bytes } = map.span(number);
      const digest = toHex(bytes);
      return isGzip ? { start, end, out, digest } : { start, end, out, storedDigest: digest };
    },
    outOf: (number) => map.outOf(number),
    storedSize: (number) => map.storedSizeOf(number),
    isVerified: () => true,
    ...(isGzip && {
      windowOf: (number: number, options: ReadOptions) => readWindow(map, windows, number, options),
    }),
    decode: decoders[map.codec](map),
  };
}

const decoders: Readonly<Record<LayerMap['codec'], (map: LayerMap) => Decode>> = {
  none: () => (_, stored, size) => {
    if (stored.length === size) return stored;
    throw bad(`a span of ${stored.length} bytes is to have ${size}`);
  },
  gzip: (map) => {
    const decoder = new GzipSpanDecoder({ inflate: hostInflate });
    return (number, stored, size, window = new Uint8Array(0)) =>
      decoder.decode({ bits: map.span(number).bits, window }, stored, 0, size);
  },
  zstd: () => (_, stored, size) => decodeZstdPart(stored, size, 0),
};

async function readWindow(
  map: LayerMap,
  windows: Source,
  number: number,
  options: ReadOptions,
): Promise<Uint8Array> {
  const { window } = map.span(number);
  if (window === 0) return new Uint8Array(0);
  const stored = await windows.read(map.windowAt(number), window, options);
  try {
    return zstdDecompressSync(stored, { maxOutputLength: INFLATE_WINDOW });
  } catch (cause) {
    // Whoever gave it may give another: it is not known which of both is wrong.
    throw new OciError(
      'OCI_WRONG_CONTENT',
      `Cannot accept the window before byte ${map.span(number).out} of a layer: it is damaged`,
      { cause },
    );
  }
}

function bad(why: string): OciError {
  return new OciError('OCI_BAD_INDEX', `Cannot use the map of a layer: ${why}`);
}
