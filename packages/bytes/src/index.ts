/**
 * Bytes: errors, Sources, names, progress. Runs in browsers.
 *
 * @example
 * import { memorySource } from '@anole/bytes';
 * const source = memorySource(new Uint8Array([1, 2, 3]));
 * console.log(await source.read(1, 2)); // Uint8Array [2, 3]
 */
export { type Awaitable, abortable, chain, type Flow, flow, isPromise, wait } from './awaitable.ts';
export { blake3 } from './blake3/blake3.ts';
export { BytesBudget, BytesCache, type Kept } from './bytes-cache.ts';
export { type CacheOptions, cachedSource } from './cached-source.ts';
export { adler32, type Checksum, crc32, crc32c } from './checksum.ts';
export { AnoleError, type ErrorOptions } from './errors.ts';
export {
  array,
  be,
  bytes,
  type Field,
  i8,
  i16,
  i32,
  i53,
  i64,
  le,
  type Pad,
  pad,
  u8,
  u16,
  u32,
  u53,
  u64,
} from './fields.ts';
export { type GunzipOptions, GunzipStream } from './gzip/gunzip.ts';
export {
  checkGzipIndex,
  DEFAULT_SPAN,
  type GzipCheckpoint,
  type GzipIndex,
  GzipIndexer,
  type GzipIndexOptions,
  type Hash,
} from './gzip/gzip-index.ts';
export {
  GzipSpanDecoder,
  type GzipSpansOptions,
  gzipSpans,
  indexedGzip,
} from './gzip/indexed-source.ts';
export { type HttpCode, HttpError } from './http/errors.ts';
export { type HttpSourceOptions, httpSource } from './http/http-source.ts';
export { inflate } from './inflate/inflate.ts';
export { INFLATE_WINDOW, type InflateStart, InflateStream } from './inflate/stream.ts';
export { type BlockOptions, decodeLz4 } from './lz4.ts';
export {
  LZ4_LEVEL_MAX,
  LZ4_SCRATCH_SIZE,
  LZ4_SLACK,
  type Lz4Filled,
  type Lz4Filler,
  lz4Filler,
} from './lz4-compress/filler.ts';
export { type Lz4EndFault, lz4EndFault } from './lz4-end.ts';
export { type Lz4Reach, lz4Reach } from './lz4-reach.ts';
export { decodeMicroLzma } from './micro-lzma.ts';
export { decodeName, encodeName } from './names.ts';
export { Pacer } from './pacer.ts';
export { inPieces } from './pieces.ts';
export type { CallOptions, OnProgress, Progress } from './progress.ts';
export {
  checkRange,
  lendingSource,
  memorySource,
  type ReadOptions,
  type Source,
} from './source.ts';
export { type Span, type SpanOptions, type Spans, spanSource } from './spans.ts';
export {
  type Cursor,
  type Fields,
  type Struct,
  type StructOptions,
  struct,
  type ValueOf,
  viewOf,
} from './struct.ts';
export { decodeZstd } from './zstd/decode.ts';
export { ZstdFrames, type ZstdPart } from './zstd/frames.ts';
