import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { Source } from '@anole/bytes';
import type { TarMember } from '@anole/vfs';
import { OciError } from '../../errors.ts';
import { ownNames } from '../../toc/chunked-toc.ts';
import { DEFAULT_MAX_LAYER } from '../layers.ts';
import type { StagedLayer, Staging } from '../staging.ts';
import type { ChunkedFormat } from './formats.ts';
import { ArchivePieces, type Piece } from './pieces.ts';
import { prioritizedMembers } from './prioritized.ts';

/** Bytes between two chunks that are compressed together. */
const BETWEEN = 1024 * 1024;
/** Units that are compressed at the same time. */
const AHEAD = Math.min(2 * availableParallelism(), 8);

export interface ChunkedLayerOptions {
  readonly signal?: AbortSignal;
  /** Paths of files that come first, for readers that fetch them before they are asked for. eStargz only. */
  readonly prioritized?: readonly string[];
  /** Bytes of the archive at most: files with holes become longer. Default 64 GiB. */
  readonly maxLayer?: number;
}

/**
 * Writes an archive as a layer that has a table of contents in itself. The same archive gives the same
 * layer, with the same version of Node's compressors. Memory grows with the number of files.
 *
 * @throws OciError `OCI_TOO_LARGE`, `OCI_UNSUPPORTED`; TarError
 */
export async function writeChunkedLayer(
  archive: Source,
  format: ChunkedFormat,
  staging: Staging,
  options: ChunkedLayerOptions = {},
): Promise<StagedLayer> {
  const { maxLayer = DEFAULT_MAX_LAYER } = options;
  const pieces = new ArchivePieces(archive, format.chunking, options.signal);
  const inner = createHash('sha256');
  const { layer, result: annotations } = await staging.fill(format.mediaType, async (sink) => {
    let at = 0;
    let size = 0;
    const units = unitsOf(orderedPieces(archive, pieces, format, options), format, (bytes) => {
      inner.update(bytes);
      size += bytes.length;
      if (size > maxLayer) throw tooLarge(maxLayer);
    });
    for await (const { bytes, chunk } of compressed(units, format)) {
      sink.write(bytes);
      if (chunk) {
        chunk.entry.offset = at;
        chunk.file.endOffset = at + bytes.length;
      }
      at += bytes.length;
    }
    const end = await format.end(pieces.entries, at, size);
    for (const bytes of end.archive) inner.update(bytes);
    for (const bytes of end.stored) sink.write(bytes);
    return end.annotations;
  });
  const diffId = `sha256:${inner.digest('hex')}`;
  return { ...layer, layer: { ...layer.layer, annotations }, diffId };
}

function tooLarge(limit: number): OciError {
  return new OciError('OCI_TOO_LARGE', `Cannot write a layer: it would have over ${limit} bytes`, {
    details: { limit },
    hint: 'Its files have holes, which such layers do not have: EROFS and RAFS keep them.',
  });
}

async function* orderedPieces(
  archive: Source,
  pieces: ArchivePieces,
  { isInArchive }: ChunkedFormat,
  { prioritized = [] }: ChunkedLayerOptions,
): AsyncGenerator<Piece> {
  if (!isInArchive) {
    yield* pieces.members(() => false);
    return yield* pieces.rest();
  }
  const first: readonly TarMember[] =
    prioritized.length > 0 ? await prioritizedMembers(archive, prioritized) : [];
  for (const member of first) yield* pieces.member(member);
  const landmark = first.length > 0 ? ownNames.prefetch : ownNames.noPrefetch;
  yield* pieces.added(landmark, new Uint8Array([0xf]));
  const done = new Set(first.map(({ headerOffset }) => headerOffset));
  yield* pieces.members(({ headerOffset }) => done.has(headerOffset));
}

/**
 * What is compressed as a whole: a chunk, or what lies between chunks. A gzip member may go on
 * behind its chunk: who reads the chunk leaves off before.
 */
async function* unitsOf(
  pieces: AsyncIterable<Piece>,
  { isInArchive: joins }: ChunkedFormat,
  onBytes: (bytes: Uint8Array) => void,
): AsyncGenerator<Piece> {
  let unit: { parts: Uint8Array[]; more: number; chunk: Piece['chunk'] } | undefined;
  const whole = ({ parts, chunk }: NonNullable<typeof unit>): Piece => ({
    bytes: parts.length === 1 ? parts[0]! : Buffer.concat(parts),
    ...(chunk && { chunk }),
  });
  for await (const { bytes, chunk } of pieces) {
    if (bytes.length === 0) continue;
    onBytes(bytes);
    const isFull = unit && (chunk || unit.more >= BETWEEN || (unit.chunk && !joins));
    if (unit && isFull) {
      yield whole(unit);
      unit = undefined;
    }
    unit ??= { parts: [], more: 0, chunk };
    unit.parts.push(bytes);
    if (!chunk) unit.more += bytes.length;
  }
  if (unit) yield whole(unit);
}

/** Units in their order, compressed some at a time. */
async function* compressed(
  units: AsyncIterable<Piece>,
  { compress }: ChunkedFormat,
): AsyncGenerator<Piece> {
  const running: Promise<Piece>[] = [];
  try {
    for await (const { bytes, chunk } of units) {
      const one = compress(bytes).then((done) => ({ bytes: done, ...(chunk && { chunk }) }));
      // What it raises is met when it is waited for.
      one.catch(() => {});
      running.push(one);
      if (running.length >= AHEAD) yield await running.shift()!;
    }
    while (running.length > 0) yield await running.shift()!;
  } finally {
    await Promise.allSettled(running);
  }
}
