import { createHash, type Hash } from 'node:crypto';
import type { Source, Spans } from '@anole/bytes';
import { hostInflate } from '@anole/host';
import { type LayerIndex, layerSpans, OciError } from '@anole/oci';
import type { RemoteBlob } from '../cache/remote-blob.ts';
import { LayerLayout } from './layer-layout.ts';
import { spanDevice } from './span-device.ts';

/** Characters of a fingerprint that are hashed at once. */
const LINES = 64 * 1024;

/** A layer as a device of an EROFS image. */
export interface LayerDevice {
  readonly remote: RemoteBlob;
  /** The place on the device of a file's data, by their place in the layer. */
  placeOf(dataOffset: number): number;
  /** Bytes at the beginning of the device that are wanted before all others. */
  readonly wantedFirst: number;
}

/**
 * The data of the files of a layer that has an index. The device's chunks are the index's spans: each is
 * fetched, verified, decoded, and stripped of what belongs to no file.
 *
 * @param digest of the layer
 * @param stored the layer as it is, at which each read is a request
 * @throws OciError `OCI_BAD_INDEX`, `OCI_UNSUPPORTED` where a span has no digest or is too large;
 *   AnoleError `GZIP_BAD_INDEX`
 */
export function layerDevice(index: LayerIndex, digest: string, stored: Source): LayerDevice {
  if (stored.size !== index.compressedSize) {
    throw new OciError(
      'OCI_BAD_INDEX',
      `Cannot use the index of ${digest}: it is for ${index.compressedSize} bytes, not ${stored.size}`,
    );
  }
  const spans = layerSpans(index, { inflate: hostInflate });
  const layout = LayerLayout.of(index.members, spans.size);
  const id = `${digest} ${fingerprint(index, spans)}`;
  const remote = spanDevice(id, { spans: wholeSpans(spans), layout, digest }, stored);
  const placeOf = (dataOffset: number) => layout.placeOf(dataOffset);
  const wantedFirst = placeOf(index.wantedFirst ?? 0);
  return { remote, placeOf, wantedFirst: Math.min(wantedFirst, layout.size) };
}

/** Spans that bring all that they are decoded with. */
function wholeSpans(spans: Spans) {
  return {
    size: spans.size,
    count: spans.count,
    at: (number: number) => spans.at(number),
    outOf: (number: number) => spans.at(number).out,
    storedSize(number: number) {
      const { start, end } = spans.at(number);
      return end - start;
    },
    isVerified: (number: number) => spans.isVerified(number),
    decode: (number: number, stored: Uint8Array, size: number) =>
      spans.decode(number, stored, 0, size),
  };
}

/**
 * Names all that an index says of data. Two indexes of one layer need not say the same, and what one of
 * them leads to must not be taken for what the other does. It stays what it is: a file that the kernel has mounted,
 * and what has come into it, is found again by it alone.
 */
function fingerprint({ gzip, parts, members }: LayerIndex, spans: Spans): string {
  const hash = createHash('sha256');
  addLines(hash, spans.count, (number) => {
    // In columns, digests of parts are bytes: it would take long to write them as they were.
    const span = parts?.spans[number] ?? spans.at(number);
    const { out, start, end, digest = '', storedDigest = '' } = span;
    return `${out} ${start} ${end} ${digest} ${storedDigest}\n`;
  });
  for (const { bits, window } of gzip?.checkpoints ?? []) hash.update(`${bits}\n`).update(window);
  const { spans: shared = [] } = parts ?? {};
  addLines(hash, shared.length, (number) => `${shared[number]!.inner ?? 0}\n`);
  addLines(hash, members.length, (number) => {
    const { dataOffset, storedSize } = members[number]!;
    return `${dataOffset} ${storedSize}\n`;
  });
  return hash.digest('hex');
}

/** Adds lines to a hash, many at once: there may be a hundred thousand. */
function addLines(hash: Hash, count: number, line: (number: number) => string): void {
  let lines = '';
  for (let number = 0; number < count; number++) {
    lines += line(number);
    if (lines.length < LINES) continue;
    hash.update(lines);
    lines = '';
  }
  hash.update(lines);
}
