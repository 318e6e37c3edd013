import { hash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { AnoleError, INFLATE_WINDOW, type ReadOptions, type Source, type Span } from '@anole/bytes';
import { OciError } from '@anole/oci';
import { type Chunks, chunksAt } from '../cache/chunks.ts';
import type { RemoteBlob } from '../cache/remote-blob.ts';
import type { LayerLayout } from './layer-layout.ts';

/** Bytes that a span may decode to, and be stored in: it is fetched, verified and decoded in memory. */
const SPAN_MAX = 256 * 1024 * 1024;
/** Stored bytes between two spans for which no second request is made. */
const GAP = 64 * 1024;
/** Bytes of one request, unless one span alone has more: who made the index says how much lies between two files. */
const RUN_MAX = 16 * 1024 * 1024;
/**
 * Decoded bytes that are fetched at once ahead of readers: some third of that comes. What is behind a span needs no window
 * of its own, which is another request.
 */
const AHEAD_RUN = 1024 * 1024;
/** And of all that are under way for one reader. */
const AT_ONCE = 64 * 1024 * 1024;
/** Bytes that are decoded before others have a turn. */
const TURN = 4 * 1024 * 1024;

/** The spans of a layer, in their order; the first begins at 0. */
export interface LayerSpans {
  readonly size: number;
  readonly count: number;
  at(number: number): Span;
  /** Its first byte, and the bytes that it is stored in, for who goes through all. */
  outOf(number: number): number;
  storedSize(number: number): number;
  /** Whether a digest speaks of a span. */
  isVerified(number: number): boolean;
  /**
   * What comes before a span and is needed to decode it, where that is kept elsewhere. Not asked for where the span
   * before it comes as well, which then has 32 KiB or more.
   */
  windowOf?(number: number, options: ReadOptions): Promise<Uint8Array>;
  /** Decodes a span to its `size` bytes. @throws AnoleError for bytes that are none of such a span */
  decode(number: number, stored: Uint8Array, size: number, window?: Uint8Array): Uint8Array;
}

interface Layer {
  readonly spans: LayerSpans;
  readonly layout: LayerLayout;
  /** Of the layer. */
  readonly digest: string;
}

/**
 * The data of the files of a layer as a device of an EROFS image. The device's chunks are spans: each is fetched,
 * verified, decoded, and stripped of what belongs to no file.
 *
 * @param id names the layer, and all that its spans and files are
 * @param stored the layer as it is, at which each read is a request
 * @throws OciError `OCI_UNSUPPORTED` where a span has no digest or is too large; when read, AnoleError
 *   `SPAN_WRONG_CONTENT`, also for what does not decode, and what `decode` raises for bytes that a digest has verified
 */
export function spanDevice(
  id: string,
  { spans, layout, digest }: Layer,
  stored: Source,
): RemoteBlob {
  const { chunks, numbers } = chunksOf(spans, layout, digest);
  return {
    id,
    chunks,
    aheadRun: AHEAD_RUN,
    async fetch(first, end, options) {
      const base = chunks.offsetOf(first);
      const out = new Uint8Array(chunks.offsetOf(end) - base);
      const wanted = numbers.subarray(first, end);
      const take = (bytes: Uint8Array, offset: number) => layout.copy(bytes, offset, out, base);
      for (const runs of groupsOf(runsOf(spans, wanted))) {
        await Promise.all(runs.map((run) => decodeRun(spans, run, stored, take, options)));
      }
      return out;
    },
    close: () => stored.close?.(),
  };
}

/** Chunks of the device, and the span of each. Spans without data of files have none. */
function chunksOf(
  spans: LayerSpans,
  layout: LayerLayout,
  digest: string,
): { readonly chunks: Chunks; readonly numbers: Uint32Array } {
  const offsets: number[] = [];
  const numbers: number[] = [];
  let end = 0;
  let next = layout.placeOf(end);
  for (let number = 0; number < spans.count; number++) {
    const out = end;
    const place = next;
    end = outEnd(spans, number);
    next = layout.placeOf(end);
    if (next === place) continue;
    if (!spans.isVerified(number)) {
      throw unsupported(digest, `nothing verifies its bytes from ${out} to ${end}`);
    }
    const most = Math.max(end - out, spans.storedSize(number));
    if (most > SPAN_MAX) throw unsupported(digest, `a part of it has ${most} bytes`);
    offsets.push(place);
    numbers.push(number);
  }
  return {
    chunks: chunksAt(Float64Array.from(offsets), layout.size),
    numbers: Uint32Array.from(numbers),
  };
}

function outEnd(spans: LayerSpans, number: number): number {
  return number + 1 < spans.count ? spans.outOf(number + 1) : spans.size;
}

/** Spans that lie one behind the other where they are stored, so that one request brings them. */
interface Run {
  readonly numbers: number[];
  readonly start: number;
  end: number;
}

function runsOf(spans: LayerSpans, numbers: Uint32Array): readonly Run[] {
  const runs: Run[] = [];
  let last: Span | undefined;
  for (const number of numbers) {
    const span = spans.at(number);
    const run = runs.at(-1);
    const goesOn = last && span.start >= last.start && span.start <= last.end + GAP;
    if (run && goesOn && span.end - run.start <= RUN_MAX) {
      run.numbers.push(number);
      run.end = Math.max(run.end, span.end);
    } else runs.push({ numbers: [number], start: span.start, end: span.end });
    last = span;
  }
  return runs;
}

/** Runs that are fetched at the same time. */
function groupsOf(runs: readonly Run[]): readonly (readonly Run[])[] {
  const groups: Run[][] = [];
  let bytes = 0;
  for (const run of runs) {
    bytes += run.end - run.start;
    const group = groups.at(-1);
    if (group && bytes <= AT_ONCE) group.push(run);
    else {
      groups.push([run]);
      bytes = run.end - run.start;
    }
  }
  return groups;
}

/** @param take is given what each span decodes to, and its place in the archive */
async function decodeRun(
  spans: LayerSpans,
  { numbers, start, end }: Run,
  stored: Source,
  take: (bytes: Uint8Array, out: number) => void,
  options: ReadOptions,
): Promise<void> {
  const [all, ...windows] = await Promise.all([
    stored.read(start, end - start, options),
    ...numbers.map((number, at) =>
      number - 1 === numbers[at - 1] ? undefined : spans.windowOf?.(number, options),
    ),
  ]);
  let before: Uint8Array | undefined;
  let decoded = 0;
  for (const [at, number] of numbers.entries()) {
    const span = spans.at(number);
    const part = all.subarray(span.start - start, span.end - start);
    verify(part, span, span.storedDigest);
    const bytes = decode(spans, number, part, windows[at] ?? before);
    verify(bytes, span, span.digest);
    take(bytes, span.out);
    before = bytes.subarray(-INFLATE_WINDOW);
    decoded += bytes.length;
    if (decoded < TURN) continue;
    decoded = 0;
    await turn();
  }
}

/** What nothing has verified yet, and does not decode, is not what it should be: it may be asked for elsewhere. */
function decode(
  spans: LayerSpans,
  number: number,
  stored: Uint8Array,
  window: Uint8Array | undefined,
): Uint8Array {
  const { out, start, end, storedDigest } = spans.at(number);
  try {
    return spans.decode(number, stored, outEnd(spans, number) - out, window);
  } catch (cause) {
    if (storedDigest !== undefined || !AnoleError.is(cause)) throw cause;
    throw new AnoleError(
      'SPAN_WRONG_CONTENT',
      `Cannot accept the bytes stored from ${start} to ${end}: ${cause.message}`,
      { details: { start, end }, cause },
    );
  }
}

function verify(bytes: Uint8Array, { start, end }: Span, digest: string | undefined): void {
  if (digest === undefined) return;
  const met = hash('sha256', bytes, 'hex');
  if (met === digest) return;
  throw new AnoleError(
    'SPAN_WRONG_CONTENT',
    `Cannot accept the bytes stored from ${start} to ${end}: they have the digest sha256:${met} instead of sha256:${digest}`,
    { details: { start, end, digest, met } },
  );
}

function unsupported(digest: string, why: string): OciError {
  return new OciError('OCI_UNSUPPORTED', `Cannot load ${digest} on demand: ${why}`, {
    hint: 'Convert the image: anole image convert SOURCE DESTINATION',
  });
}
