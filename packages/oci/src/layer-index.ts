import {
  type GzipIndex,
  indexedGzip,
  type Source,
  type Span,
  type SpanOptions,
  spanSource,
} from '@anole/bytes';
import type { TarMember } from '@anole/vfs';
import { OciError } from './errors.ts';

/** What is known of a tar layer, so that it can be read by ranges without unpacking it. */
export interface LayerIndex {
  readonly members: readonly TarMember[];
  /** Bytes of the layer, as it is stored and decompressed. */
  readonly compressedSize: number;
  readonly size: number;
  /** Of a layer that is compressed by gzip: where decompression can begin. */
  readonly gzip?: GzipIndex;
  /** Of one that is not compressed: what is verified as a whole. */
  readonly plain?: { readonly span: number; readonly digests: readonly string[] };
  /** Of one that is made of parts which are compressed each by itself. */
  readonly parts?: LayerParts;
}

/** Parts of a layer in their order, the first at 0. */
export interface LayerParts {
  readonly spans: readonly Span[];
  /** Decompresses a part, which has `size` bytes then. */
  decode(stored: Uint8Array, size: number): Uint8Array;
}

/**
 * The tar archive of a layer, by ranges, verified span by span.
 *
 * @param stored the layer as it is
 * @throws OciError `OCI_BAD_INDEX`, AnoleError `GZIP_BAD_INDEX` for an index of another layer
 */
export function openIndexedLayer(index: LayerIndex, stored: Source, options?: SpanOptions): Source {
  const { gzip, plain, parts, compressedSize, size } = index;
  if (stored.size !== compressedSize) {
    throw new OciError(
      'OCI_BAD_INDEX',
      `Cannot use the index of a layer: it is for ${compressedSize} bytes, not ${stored.size}`,
    );
  }
  if (gzip) return indexedGzip(stored, gzip, options);
  if (plain) return plainSource(stored, plain, options);
  if (parts) return partsSource(stored, parts, size, options);
  throw new OciError(
    'OCI_BAD_INDEX',
    'Cannot use the index of a layer: it says not how to read it',
  );
}

function plainSource(
  stored: Source,
  { span, digests }: NonNullable<LayerIndex['plain']>,
  options?: SpanOptions,
): Source {
  const at = (index: number): Span => {
    const start = index * span;
    const end = Math.min(start + span, stored.size);
    return { out: start, start, end, storedDigest: digests[index]! };
  };
  const decode = (_: number, bytes: Uint8Array, from: number, length: number) =>
    bytes.subarray(from, from + length);
  return spanSource(stored, { size: stored.size, count: digests.length, at, decode }, options);
}

function partsSource(
  stored: Source,
  { spans, decode }: LayerParts,
  size: number,
  options?: SpanOptions,
): Source {
  const endOf = (index: number) => spans[index + 1]?.out ?? size;
  return spanSource(
    stored,
    {
      size,
      count: spans.length,
      at: (index) => spans[index]!,
      decode: (index, bytes, from, length) =>
        decode(bytes, endOf(index) - spans[index]!.out).subarray(from, from + length),
    },
    options,
  );
}
