import { type Awaitable, chain } from '../awaitable.ts';
import { AnoleError } from '../errors.ts';
import { checkRange, type ReadOptions, type Source } from '../source.ts';
import { GunzipStream } from './gunzip.ts';
import { checkGzipIndex, type GzipIndex } from './gzip-index.ts';

export interface IndexedGzipOptions {
  /** Bytes of decompressed spans that are kept. Default 32 MiB; the last is kept whatever it has. */
  readonly kept?: number;
  /** SHA-256 of bytes, in hexadecimal. Default that of the Web Crypto API. */
  readonly sha256?: (bytes: Uint8Array) => Awaitable<string>;
}

const DEFAULT_KEPT = 32 * 1024 * 1024;
/** Longer spans are decoded as far as is read, and not kept: who made the stream says how long they are. */
const LONG = 64 * 1024 * 1024;

/**
 * The decompressed bytes of a gzip stream that has an index, by ranges. A read takes the spans that it
 * touches from `compressed` and no more; where the index has digests, they are verified before anything
 * is decoded.
 *
 * @throws AnoleError `GZIP_BAD_INDEX`; when read, `GZIP_WRONG_SPAN` for bytes that are not those of their
 * digest, `DEFLATE_DAMAGED` and `GZIP_DAMAGED` for an index that is not that of the stream
 */
export function indexedGzip(
  compressed: Source,
  index: GzipIndex,
  options: IndexedGzipOptions = {},
): Source {
  checkGzipIndex(index);
  if (compressed.size !== index.compressedSize) {
    throw new AnoleError(
      'GZIP_BAD_INDEX',
      `Cannot use the index of a gzip stream: it is for ${index.compressedSize} bytes, not ${compressed.size}`,
    );
  }
  return new IndexedGzip(compressed, index, options);
}

class IndexedGzip implements Source {
  readonly size: number;
  private readonly compressed: Source;
  private readonly index: GzipIndex;
  private readonly limit: number;
  private readonly sha256: (bytes: Uint8Array) => Awaitable<string>;
  private readonly gunzip = new GunzipStream();
  /** Decoded spans, the one used last at the end; those under way as Promises. */
  private readonly spans = new Map<number, Awaitable<Uint8Array>>();
  private kept = 0;

  constructor(compressed: Source, index: GzipIndex, options: IndexedGzipOptions) {
    this.compressed = compressed;
    this.index = index;
    this.size = index.size;
    this.limit = options.kept ?? DEFAULT_KEPT;
    this.sha256 = options.sha256 ?? webSha256;
  }

  read(offset: number, length: number, options?: ReadOptions): Awaitable<Uint8Array> {
    checkRange(offset, length, this.size);
    if (length === 0) return new Uint8Array(0);
    const span = this.spanAt(offset);
    if (offset + length <= this.endOf(span)) return this.part(span, offset, length, options);
    return this.gather(span, offset, length, options);
  }

  close(): Awaitable<void> {
    this.spans.clear();
    return this.compressed.close?.();
  }

  private async gather(first: number, offset: number, length: number, options?: ReadOptions) {
    const bytes = new Uint8Array(length);
    for (let span = first, at = 0; at < length; span++) {
      options?.signal?.throwIfAborted();
      const count = Math.min(this.endOf(span) - offset - at, length - at);
      bytes.set(await this.part(span, offset + at, count, options), at);
      at += count;
    }
    return bytes;
  }

  /** A part of one span. */
  private part(
    span: number,
    offset: number,
    length: number,
    options?: ReadOptions,
  ): Awaitable<Uint8Array> {
    const from = offset - this.index.checkpoints[span]!.out;
    const size = this.endOf(span) - this.index.checkpoints[span]!.out;
    if (size > LONG) {
      return chain(this.fetch(span, options), (bytes) => this.decode(span, bytes, from, length));
    }
    return chain(this.whole(span, size), (bytes) => bytes.subarray(from, from + length));
  }

  /** All of a span. Readers share the work: who gives up does not stop the others. */
  private whole(span: number, size: number): Awaitable<Uint8Array> {
    const there = this.spans.get(span);
    if (there !== undefined) {
      this.spans.delete(span);
      this.spans.set(span, there);
      return there;
    }
    const made = chain(this.fetch(span), (bytes) => this.decode(span, bytes, 0, size));
    this.spans.set(span, made);
    this.kept += size;
    if (made instanceof Promise) made.catch(() => this.forget(span));
    for (const old of this.spans.keys()) {
      if (this.kept <= this.limit || old === span) break;
      this.forget(old);
    }
    return made;
  }

  private forget(span: number): void {
    if (!this.spans.delete(span)) return;
    this.kept -= this.endOf(span) - this.index.checkpoints[span]!.out;
  }

  /** The compressed bytes of a span, verified. */
  private fetch(span: number, options?: ReadOptions): Awaitable<Uint8Array> {
    const { checkpoints, compressedSize, digests } = this.index;
    const { in: at, bits } = checkpoints[span]!;
    const start = at - (bits > 0 ? 1 : 0);
    const end = checkpoints[span + 1]?.in ?? compressedSize;
    const digest = digests?.[span];
    return chain(this.compressed.read(start, end - start, options), (read) => {
      // The Source may use its memory again while the digest is made.
      const bytes = new Uint8Array(read);
      if (digest === undefined) return bytes;
      return chain(this.sha256(bytes), (met) => {
        if (met === digest) return bytes;
        throw new AnoleError(
          'GZIP_WRONG_SPAN',
          `Cannot accept bytes ${start} to ${end} of a layer: they have the digest sha256:${met} instead of sha256:${digest}`,
          { details: { start, end, digest, met } },
        );
      });
    });
  }

  /** Decodes a span from its beginning to the end of what is wanted. */
  private decode(span: number, bytes: Uint8Array, from: number, length: number): Uint8Array {
    const { bits, window } = this.index.checkpoints[span]!;
    const result = new Uint8Array(length);
    const { gunzip } = this;
    const hold = bits > 0 ? bytes[0]! >> (8 - bits) : 0;
    gunzip.start({ hold, bits, window });
    gunzip.write(bits > 0 ? bytes.subarray(1) : bytes);
    for (let at = 0; at < from + length; ) {
      const piece = gunzip.read();
      if (piece.length === 0) {
        throw new AnoleError('GZIP_BAD_INDEX', 'Cannot decode a span: it ends too early');
      }
      const skip = Math.max(0, from - at);
      const end = Math.min(piece.length, from + length - at);
      if (skip < end) result.set(piece.subarray(skip, end), at + skip - from);
      at += piece.length;
    }
    return result;
  }

  private spanAt(offset: number): number {
    const { checkpoints } = this.index;
    let low = 0;
    for (let high = checkpoints.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if (checkpoints[middle]!.out <= offset) low = middle;
      else high = middle;
    }
    return low;
  }

  private endOf(span: number): number {
    return this.index.checkpoints[span + 1]?.out ?? this.size;
  }
}

async function webSha256(bytes: Uint8Array): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
