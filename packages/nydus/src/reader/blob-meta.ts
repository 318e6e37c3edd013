import { type Flow, type Source, viewOf, wait } from '@anole/bytes';
import type { RafsCodecs } from '../codecs.ts';
import { RafsError } from '../errors.ts';
import { blobFeatures } from '../layout/blob.ts';
import {
  BatchContext,
  CHUNK_INFO_V1_SIZE,
  CHUNK_INFO_V2_SIZE,
  CONTEXT_SIZE,
  META_HEADER_SIZE,
  META_MAGIC,
  MetaHeader,
  ZranContext,
} from '../layout/blob-meta.ts';
import type { BlobInfo } from './blob-info.ts';
import type { ChunkTable } from './chunk.ts';
import { ChunkInfosV1, ChunkInfosV2 } from './chunk-infos.ts';

export type Batch = ReturnType<typeof BatchContext.read>;

/** A place of a gzip stream at which inflating can begin. */
export type Checkpoint = ReturnType<typeof ZranContext.read> & { readonly window: Uint8Array };

/** What stands behind the data of a blob. */
export interface BlobMeta {
  readonly chunks: ChunkTable;
  /** @throws RafsError `RAFS_BAD_BLOB_META` where there is none of that number */
  batch(index: number): Batch;
  checkpoint(index: number): Checkpoint;
}

/** Most bytes of a table of chunks, decoded: what 2^24 chunks of the larger form take. */
export const META_MAX = 2 ** 29;

/**
 * Reads the table of chunks of a blob.
 *
 * @throws RafsError `RAFS_BAD_BLOB_META`, `RAFS_UNSUPPORTED`
 */
export function* readBlobMeta(source: Source, blob: BlobInfo, codecs: RafsCodecs): Flow<BlobMeta> {
  const { offset, compressedSize, uncompressedSize } = blob.meta!;
  if (offset + compressedSize + META_HEADER_SIZE > source.size || uncompressedSize > META_MAX) {
    throw bad(blob, `its ${uncompressedSize} bytes lie outside the blob`);
  }
  const stored = yield* wait(source.read(offset, compressedSize + META_HEADER_SIZE));
  const head = decrypted(stored.subarray(compressedSize), blob, codecs);
  if (head.length !== META_HEADER_SIZE) throw bad(blob, 'its header does not decrypt');
  const header = MetaHeader.read(viewOf(head));
  checkHeader(header, blob);
  const encoded = decrypted(stored.subarray(0, compressedSize), blob, codecs);
  return metaOf(decoded(encoded, blob, codecs), header, blob);
}

type Header = ReturnType<typeof MetaHeader.read>;

/** @throws RafsError `RAFS_UNSUPPORTED` where nobody can decrypt */
export function decrypted(bytes: Uint8Array, blob: BlobInfo, codecs: RafsCodecs): Uint8Array {
  if (blob.key === undefined) return bytes;
  if (codecs.decrypt !== undefined) return codecs.decrypt(bytes, blob.key);
  throw new RafsError('RAFS_UNSUPPORTED', `Cannot read ${blob.id}: it is encrypted`, {
    hint: 'Give a codec with decrypt, as nodeCodecs has it.',
  });
}

function checkHeader(header: Header, blob: BlobInfo): void {
  const meta = blob.meta!;
  if (header.magic !== META_MAGIC || header.magic2 !== META_MAGIC) {
    throw bad(blob, 'its header does not begin and end as one');
  }
  const generated = (blob.features & blobFeatures.chunkDictGenerated) !== 0;
  const same =
    header.offset === meta.offset &&
    header.compressedSize === meta.compressedSize &&
    header.uncompressedSize === meta.uncompressedSize &&
    (generated || header.entries === blob.chunkCount);
  if (!same) throw bad(blob, 'its header is not what the bootstrap says');
}

function decoded(encoded: Uint8Array, blob: BlobInfo, codecs: RafsCodecs): Uint8Array {
  const { compressor, uncompressedSize } = blob.meta!;
  if (compressor === 'none') {
    if (encoded.length === uncompressedSize) return new Uint8Array(encoded);
    throw bad(blob, `it has ${encoded.length} bytes, not ${uncompressedSize}`);
  }
  const output = new Uint8Array(uncompressedSize);
  try {
    codecs.decoders[compressor](encoded, output);
  } catch (cause) {
    throw bad(blob, 'it does not decode', cause);
  }
  return output;
}

function metaOf(bytes: Uint8Array, header: Header, blob: BlobInfo): BlobMeta {
  const isV2 = (blob.features & blobFeatures.chunkInfoV2) !== 0;
  const size = isV2 ? CHUNK_INFO_V2_SIZE : CHUNK_INFO_V1_SIZE;
  const { entries, contextOffset, contextCount, contextSize } = header;
  const hasContexts = (blob.features & (blobFeatures.batch | blobFeatures.zran)) !== 0;
  const end = hasContexts ? contextOffset + contextSize : entries * size;
  if (entries * size > bytes.length || end > bytes.length) {
    throw bad(blob, `${entries} chunks do not fit into it`);
  }
  if (hasContexts && contextCount * CONTEXT_SIZE > contextSize) {
    throw bad(blob, `${contextCount} batches do not fit into it`);
  }
  const view = viewOf(bytes);
  const windows = bytes.subarray(contextOffset + contextCount * CONTEXT_SIZE, end);
  const at = (index: number): number => {
    if (hasContexts && index >= 0 && index < contextCount)
      return contextOffset + index * CONTEXT_SIZE;
    throw bad(blob, `it has no batch ${index}`);
  };
  return {
    chunks: isV2 ? new ChunkInfosV2(bytes, entries) : new ChunkInfosV1(bytes, entries),
    batch: (index) => BatchContext.read(view, at(index)),
    checkpoint(index) {
      const context = ZranContext.read(view, at(index));
      const { dictOffset, dictSize } = context;
      if (dictOffset + dictSize > windows.length) throw bad(blob, `a window lies outside of it`);
      return { ...context, window: windows.subarray(dictOffset, dictOffset + dictSize) };
    },
  };
}

function bad(blob: BlobInfo, reason: string, cause?: unknown): RafsError {
  const message = `Cannot use the table of chunks of ${blob.id}: ${reason}`;
  return new RafsError('RAFS_BAD_BLOB_META', message, {
    details: { blob: blob.id },
    ...(cause !== undefined && { cause }),
    hint: 'the blob is damaged or another one: make or fetch it again',
  });
}
