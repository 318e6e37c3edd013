import { createHash, type Hash } from 'node:crypto';
import { AnoleError, type ReadOptions, type Source, type Span, type Spans } from '@anole/bytes';
import { hostInflate } from '@anole/host';
import { type LayerIndex, layerSpans, OciError } from '@anole/oci';
import { type Chunks, chunksAt } from '../cache/chunks.ts';
import type { RemoteBlob } from '../cache/remote-blob.ts';
import { LayerLayout } from './layer-layout.ts';

/** Bytes that a span may decode to: it is fetched, verified and decoded in memory. */
const SPAN_MAX = 256 * 1024 * 1024;
/** Stored bytes between two spans for which no second request is made. */
const GAP = 64 * 1024;
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
  const layout = new LayerLayout(index.members, spans.size);
  const { chunks, numbers } = chunksOf(spans, layout, digest);
  const id = `${digest} ${fingerprint(index, spans)}`;
  const remote: RemoteBlob = {
    id,
    chunks,
    async fetch(first, end, options) {
      const base = chunks.offsetOf(first);
      const out = new Uint8Array(chunks.offsetOf(end) - base);
      const wanted = numbers.subarray(first, end);
      await Promise.all(
        runsOf(spans, wanted).map(async (run) => {
          for (const { number, bytes } of await decoded(spans, run, stored, options)) {
            layout.copy(bytes, spans.at(number).out, out, base);
          }
        }),
      );
      return out;
    },
    close: () => stored.close?.(),
  };
  const placeOf = (dataOffset: number) => layout.placeOf(dataOffset);
  const wantedFirst = placeOf(index.wantedFirst ?? 0);
  return { remote, placeOf, wantedFirst: Math.min(wantedFirst, layout.size) };
}

/** Chunks of the device, and the span of each. Spans without data of files have none. */
function chunksOf(
  spans: Spans,
  layout: LayerLayout,
  digest: string,
): { readonly chunks: Chunks; readonly numbers: Uint32Array } {
  const offsets: number[] = [];
  const numbers: number[] = [];
  for (let number = 0; number < spans.count; number++) {
    const { out } = spans.at(number);
    const end = outEnd(spans, number);
    const place = layout.placeOf(out);
    if (layout.placeOf(end) === place) continue;
    if (!spans.isVerified(number)) {
      throw unsupported(digest, `nothing verifies its bytes from ${out} to ${end}`);
    }
    if (end - out > SPAN_MAX) throw unsupported(digest, `a part of it has ${end - out} bytes`);
    offsets.push(place);
    numbers.push(number);
  }
  return {
    chunks: chunksAt(Float64Array.from(offsets), layout.size),
    numbers: Uint32Array.from(numbers),
  };
}

function outEnd(spans: Spans, number: number): number {
  return number + 1 < spans.count ? spans.at(number + 1).out : spans.size;
}

/** Spans that lie one behind the other where they are stored, so that one request brings them. */
type Run = readonly number[];

function runsOf(spans: Spans, numbers: Uint32Array): readonly Run[] {
  const runs: number[][] = [];
  let last: Span | undefined;
  for (const number of numbers) {
    const span = spans.at(number);
    const goesOn = last && span.start >= last.start && span.start <= last.end + GAP;
    if (goesOn) runs.at(-1)!.push(number);
    else runs.push([number]);
    last = span;
  }
  return runs;
}

async function decoded(
  spans: Spans,
  run: Run,
  stored: Source,
  options: ReadOptions,
): Promise<readonly { readonly number: number; readonly bytes: Uint8Array }[]> {
  const { start } = spans.at(run[0]!);
  const end = Math.max(...run.map((number) => spans.at(number).end));
  const all = await stored.read(start, end - start, options);
  return run.map((number) => {
    const span = spans.at(number);
    const part = all.subarray(span.start - start, span.end - start);
    verify(part, span, span.storedDigest);
    const bytes = spans.decode(number, part, 0, outEnd(spans, number) - span.out);
    verify(bytes, span, span.digest);
    return { number, bytes };
  });
}

function verify(bytes: Uint8Array, { start, end }: Span, digest: string | undefined): void {
  if (digest === undefined) return;
  const met = createHash('sha256').update(bytes).digest('hex');
  if (met === digest) return;
  throw new AnoleError(
    'SPAN_WRONG_CONTENT',
    `Cannot accept the bytes stored from ${start} to ${end}: they have the digest sha256:${met} instead of sha256:${digest}`,
    { details: { start, end, digest, met } },
  );
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

function unsupported(digest: string, why: string): OciError {
  return new OciError('OCI_UNSUPPORTED', `Cannot load ${digest} on demand: ${why}`, {
    hint: 'Convert the image: anole image convert SOURCE DESTINATION',
  });
}
