import {
  type GzipIndex,
  type GzipSpansOptions,
  gzipSpans,
  type Source,
  type Span,
  type SpanOptions,
  type Spans,
  spanSource,
} from '@anole/bytes';
import { applyMembers, MemoryTree, sliceSource, type TarMember, type Tree } from '@anole/vfs';
import { OciError } from './errors.ts';
import { PartSpans } from './part-spans.ts';

/** What is known of a tar layer, so that it can be read by ranges without unpacking it. */
export interface LayerIndex {
  readonly members: readonly TarMember[];
  /** Bytes of the layer, as it is stored and decompressed. */
  readonly compressedSize: number;
  readonly size: number;
  /** Bytes at the beginning, of files that are wanted before all others. None unless told. */
  readonly wantedFirst?: number;
  /** Of a layer that is compressed by gzip: where decompression can begin. */
  readonly gzip?: GzipIndex;
  /** Of one that is not compressed: what is verified as a whole. */
  readonly plain?: { readonly span: number; readonly digests: readonly string[] };
  /** Of one that is made of parts which are compressed each by itself. */
  readonly parts?: LayerParts;
}

/** Parts of a layer in their order, the first at 0. */
export interface LayerParts {
  readonly spans: readonly PartSpan[];
  /** Whether they make the archive, rather than the data of its files, one behind the other. */
  readonly isArchive?: boolean;
  /** Decompresses what is stored, and gives `size` bytes of it from `inner` on. */
  decode(stored: Uint8Array, size: number, inner: number): Uint8Array;
}

export interface PartSpan extends Span {
  /** Decompressed bytes of others before this part's own, where several share what is stored. Default 0. */
  readonly inner?: number;
}

/**
 * What an index leads to, by ranges, verified span by span: the tar archive of the layer, or, where the layer
 * has a table of contents in itself (`parts` that are no archive), the data of its files, one behind the other. In both, files
 * lie where `members` say.
 *
 * @param stored the layer as it is
 * @throws OciError `OCI_BAD_INDEX`, AnoleError `GZIP_BAD_INDEX` for an index of another layer
 */
export function openIndexedLayer(index: LayerIndex, stored: Source, options?: SpanOptions): Source {
  if (stored.size !== index.compressedSize) {
    throw new OciError(
      'OCI_BAD_INDEX',
      `Cannot use the index of a layer: it is for ${index.compressedSize} bytes, not ${stored.size}`,
    );
  }
  return spanSource(stored, layerSpans(index), options);
}

/**
 * The stretches of a layer that are fetched, verified and decoded each as a whole, for those who keep them
 * elsewhere than {@link openIndexedLayer} does: where each is stored, and the digest of what is stored
 * (`storedDigest`) or of what it decodes to (`digest`). One without a digest is not verified.
 *
 * @throws OciError `OCI_BAD_INDEX`; AnoleError `GZIP_BAD_INDEX`
 */
export function layerSpans(index: LayerIndex, options?: GzipSpansOptions): Spans {
  const { gzip, plain, parts, size } = index;
  if (gzip) return gzipSpans(gzip, options);
  if (plain) return plainSpans(plain, size);
  if (parts) return new PartSpans(parts, size);
  throw new OciError(
    'OCI_BAD_INDEX',
    'Cannot use the index of a layer: it says not how to read it',
  );
}

/** The file system of one layer that has an index: whiteouts are obeyed, not shown. */
export function indexedLayerTree(index: LayerIndex, stored: Source, options?: SpanOptions): Tree {
  const tree = new MemoryTree();
  const source = openIndexedLayer(index, stored, options);
  applyIndexedLayer(tree, index, source);
  return Object.assign(tree, { close: () => source.close?.() });
}

/**
 * Puts a layer over the tree of those below it.
 *
 * @param source as {@link openIndexedLayer} gives it; it must stay open
 * @throws OciError `OCI_BAD_INDEX` where files would lie outside of it; VfsError, TarError
 */
export function applyIndexedLayer(tree: MemoryTree, { members }: LayerIndex, source: Source): void {
  applyMembers(tree, members, ({ path, dataOffset, storedSize }) => {
    if (dataOffset + storedSize <= source.size) return sliceSource(source, dataOffset, storedSize);
    throw new OciError(
      'OCI_BAD_INDEX',
      `Cannot use the index of a layer: ${JSON.stringify(path)} lies outside of it`,
    );
  });
}

function plainSpans({ span, digests }: NonNullable<LayerIndex['plain']>, size: number): Spans {
  return {
    size,
    count: digests.length,
    at(index) {
      const start = index * span;
      const end = Math.min(start + span, size);
      return { out: start, start, end, storedDigest: digests[index]! };
    },
    isVerified: () => true,
    decode: (_, bytes, from, length) => bytes.subarray(from, from + length),
  };
}
