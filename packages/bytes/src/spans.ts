import { type Awaitable, chain, isPromise } from './awaitable.ts';
import { AnoleError } from './errors.ts';
import { checkRange, type ReadOptions, type Source } from './source.ts';

/** A stretch of data that is decoded, and verified, as a whole. */
export interface Span {
  /** Its first byte as readers see it; the next span begins where it ends. */
  readonly out: number;
  /** Where it is stored. */
  readonly start: number;
  readonly end: number;
  /** SHA-256 in hexadecimal of what is stored. */
  readonly storedDigest?: string | undefined;
  /** And of what it decodes to. */
  readonly digest?: string | undefined;
}

/** Data in spans, in their order; the first begins at 0. */
export interface Spans {
  readonly size: number;
  readonly count: number;
  at(index: number): Span;
  /** Whether a digest speaks of a span. */
  isVerified(index: number): boolean;
  /**
   * Decodes a span from its beginning up to the end of what is wanted, `length` bytes from `from` on.
   *
   * @throws AnoleError for stored bytes that are none of such a span
   */
  decode(index: number, stored: Uint8Array, from: number, length: number): Uint8Array;
}

export interface SpanOptions {
  /** Bytes of decoded spans that are kept. Default 32 MiB; the last is kept whatever it has. */
  readonly kept?: number;
  /** SHA-256 of bytes, in hexadecimal. Default that of the Web Crypto API. */
  readonly sha256?: (bytes: Uint8Array) => Awaitable<string>;
}

const DEFAULT_KEPT = 32 * 1024 * 1024;
/** Longer spans are decoded as far as is read, and not kept: who made the data says how long they are. */
const LONG = 64 * 1024 * 1024;

/**
 * Data that is stored in spans, by ranges. A read takes the spans that it touches and no others; what a
 * digest speaks of is verified before it is given out.
 *
 * @throws AnoleError when read: `SPAN_WRONG_CONTENT`, and what `spans.decode` raises
 */
export function spanSource(stored: Source, spans: Spans, options: SpanOptions = {}): Source {
  return new SpanSource(stored, spans, options);
}

class SpanSource implements Source {
  readonly size: number;
  private readonly stored: Source;
  private readonly spans: Spans;
  private readonly limit: number;
  private readonly sha256: (bytes: Uint8Array) => Awaitable<string>;
  /** Decoded spans, the one used last at the end; those under way as Promises. */
  private readonly decoded = new Map<number, Awaitable<Uint8Array>>();
  private kept = 0;

  constructor(stored: Source, spans: Spans, options: SpanOptions) {
    this.stored = stored;
    this.spans = spans;
    this.size = spans.size;
    this.limit = options.kept ?? DEFAULT_KEPT;
    this.sha256 = options.sha256 ?? webSha256;
  }

  read(offset: number, length: number, options?: ReadOptions): Awaitable<Uint8Array> {
    checkRange(offset, length, this.size);
    if (length === 0) return new Uint8Array(0);
    const index = this.indexOf(offset);
    if (offset + length <= this.endOf(index)) return this.part(index, offset, length, options);
    return this.gather(index, offset, length, options);
  }

  close(): Awaitable<void> {
    this.decoded.clear();
    return this.stored.close?.();
  }

  private async gather(first: number, offset: number, length: number, options?: ReadOptions) {
    const bytes = new Uint8Array(length);
    for (let index = first, at = 0; at < length; index++) {
      options?.signal?.throwIfAborted();
      const count = Math.min(this.endOf(index) - offset - at, length - at);
      bytes.set(await this.part(index, offset + at, count, options), at);
      at += count;
    }
    return bytes;
  }

  private part(
    index: number,
    offset: number,
    length: number,
    options?: ReadOptions,
  ): Awaitable<Uint8Array> {
    const span = this.spans.at(index);
    const from = offset - span.out;
    if (this.endOf(index) - span.out > LONG && span.digest === undefined) {
      return chain(this.fetch(span, options), (bytes) =>
        this.spans.decode(index, bytes, from, length),
      );
    }
    return chain(this.whole(index), (bytes) => bytes.subarray(from, from + length));
  }

  /** All of a span. Readers share the work: who gives up does not stop the others. */
  private whole(index: number): Awaitable<Uint8Array> {
    const there = this.decoded.get(index);
    if (there !== undefined) {
      this.decoded.delete(index);
      this.decoded.set(index, there);
      return there;
    }
    const span = this.spans.at(index);
    const size = this.endOf(index) - span.out;
    const made = chain(this.fetch(span), (stored) => {
      const bytes = this.spans.decode(index, stored, 0, size);
      return this.verified(bytes, span, span.digest);
    });
    this.decoded.set(index, made);
    this.kept += size;
    if (isPromise(made)) made.catch(() => this.forget(index));
    for (const old of this.decoded.keys()) {
      if (this.kept <= this.limit || old === index) break;
      this.forget(old);
    }
    return made;
  }

  private forget(index: number): void {
    if (this.decoded.delete(index)) this.kept -= this.endOf(index) - this.spans.at(index).out;
  }

  private fetch(span: Span, options?: ReadOptions): Awaitable<Uint8Array> {
    return chain(this.stored.read(span.start, span.end - span.start, options), (bytes) =>
      // The Source may use its memory again while the digest is made.
      this.verified(new Uint8Array(bytes), span, span.storedDigest),
    );
  }

  private verified(
    bytes: Uint8Array,
    { start, end }: Span,
    digest: string | undefined,
  ): Awaitable<Uint8Array> {
    if (digest === undefined) return bytes;
    return chain(this.sha256(bytes), (met) => {
      if (met === digest) return bytes;
      throw new AnoleError(
        'SPAN_WRONG_CONTENT',
        `Cannot accept the bytes stored from ${start} to ${end}: they have the digest sha256:${met} instead of sha256:${digest}`,
        { details: { start, end, digest, met } },
      );
    });
  }

  private indexOf(offset: number): number {
    let low = 0;
    for (let high = this.spans.count; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if (this.spans.at(middle).out <= offset) low = middle;
      else high = middle;
    }
    return low;
  }

  private endOf(index: number): number {
    return index + 1 < this.spans.count ? this.spans.at(index + 1).out : this.size;
  }
}

async function webSha256(bytes: Uint8Array): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
