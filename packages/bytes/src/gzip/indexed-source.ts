import type { Source } from '../source.ts';
import { type Span, type SpanOptions, type Spans, spanSource } from '../spans.ts';
import { GunzipStream } from './gunzip.ts';
import { badIndex, checkGzipIndex, type GzipCheckpoint, type GzipIndex } from './gzip-index.ts';

/**
 * The decompressed bytes of a gzip stream that has an index, by ranges. A read takes the spans that it
 * touches from `compressed` and no more; where the index has digests, they are verified before anything
 * is decoded.
 *
 * @throws AnoleError `GZIP_BAD_INDEX`; when read, `SPAN_WRONG_CONTENT` for bytes that are not those of
 * their digest, `DEFLATE_DAMAGED` and `GZIP_DAMAGED` for an index that is not that of the stream
 * @example
 * const source = indexedGzip(fileSource('layer.tar.gz'), index);
 * const bytes = await source.read(1_000_000, 4096);
 */
export function indexedGzip(compressed: Source, index: GzipIndex, options?: SpanOptions): Source {
  const spans = gzipSpans(index);
  if (compressed.size !== index.compressedSize) {
    throw badIndex(`it is for ${index.compressedSize} bytes, not ${compressed.size}`);
  }
  return spanSource(compressed, spans, options);
}

export interface GzipSpansOptions {
  /**
   * The first bytes of what a deflate stream decodes to from a block on, whose first byte's high `bits` begin it;
   * undefined where that cannot be told. For who has a faster decoder than the one here.
   */
  inflate?(
    from: Pick<GzipCheckpoint, 'bits' | 'window'>,
    stored: Uint8Array,
    size: number,
  ): Uint8Array | undefined;
}

/**
 * The spans of a gzip stream that has an index: from one checkpoint to the next.
 *
 * @throws AnoleError `GZIP_BAD_INDEX`
 */
export function gzipSpans(index: GzipIndex, options: GzipSpansOptions = {}): Spans {
  checkGzipIndex(index);
  return new GzipSpans(index, options);
}

class GzipSpans implements Spans {
  readonly size: number;
  readonly count: number;
  private readonly index: GzipIndex;
  private readonly decoder: GzipSpanDecoder;

  constructor(index: GzipIndex, options: GzipSpansOptions) {
    this.decoder = new GzipSpanDecoder(options);
    // Windows of an index that was read are a part of all that was read.
    const own = ({ window, ...place }: GzipCheckpoint) => ({ ...place, window: window.slice() });
    this.index = { ...index, checkpoints: index.checkpoints.map(own) };
    this.size = index.size;
    this.count = index.checkpoints.length;
  }

  at(number: number): Span {
    const { checkpoints, compressedSize, digests } = this.index;
    const { in: at, out, bits } = checkpoints[number]!;
    const end = checkpoints[number + 1]?.in ?? compressedSize;
    const storedDigest = digests?.[number];
    const start = at - (bits > 0 ? 1 : 0);
    return { out, start, end, ...(storedDigest !== undefined && { storedDigest }) };
  }

  isVerified(number: number): boolean {
    return this.index.digests?.[number] !== undefined;
  }

  decode(number: number, stored: Uint8Array, from: number, length: number): Uint8Array {
    return this.decoder.decode(this.index.checkpoints[number]!, stored, from, length);
  }
}

/** Decodes a gzip stream from the beginning of a block on. */
export class GzipSpanDecoder {
  private readonly inflate: GzipSpansOptions['inflate'];
  private readonly gunzip = new GunzipStream();

  constructor({ inflate }: GzipSpansOptions = {}) {
    this.inflate = inflate;
  }

  /**
   * `length` bytes from `from` on.
   *
   * @param stored from the byte that has the block's first bit
   * @throws AnoleError `GZIP_BAD_INDEX` where they end too early, `DEFLATE_DAMAGED`, `GZIP_DAMAGED`
   */
  decode(
    { bits, window }: Pick<GzipCheckpoint, 'bits' | 'window'>,
    stored: Uint8Array,
    from: number,
    length: number,
  ): Uint8Array {
    const faster = this.inflate?.({ bits, window }, stored, from + length);
    if (faster) return faster.subarray(from);
    const { gunzip } = this;
    const hold = bits > 0 ? stored[0]! >> (8 - bits) : 0;
    gunzip.start({ hold, bits, window });
    gunzip.write(bits > 0 ? stored.subarray(1) : stored);
    const result = new Uint8Array(length);
    for (let at = 0; at < from + length; ) {
      const piece = gunzip.read();
      if (piece.length === 0) throw badIndex('a span of it ends too early');
      const skip = Math.max(0, from - at);
      const end = Math.min(piece.length, from + length - at);
      if (skip < end) result.set(piece.subarray(skip, end), at + skip - from);
      at += piece.length;
    }
    return result;
  }
}
