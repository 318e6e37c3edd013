import type { CallOptions } from '@anole/bytes';
import { RafsError } from '../errors.ts';
import type { RafsBlob } from '../reader/blob.ts';
import type { Chunk } from '../reader/chunk.ts';
import { type FileChunk, isRafsNode } from '../reader/file-chunks.ts';
import type { RafsImage } from '../reader/image.ts';
import type { BlobSink } from './blob-output.ts';
import { BlobWriter } from './blob-writer.ts';
import { encodeBootstrap } from './bootstrap.ts';
import { type BlobRef, chunkKey, type StoredChunk } from './chunks.ts';
import type { RafsEncoders } from './encoders.ts';
import type { WrittenRafs } from './image.ts';
import type { Inode } from './inode.ts';
import { layOut } from './layout.ts';
import { settle } from './options.ts';
import { BLOCK_SIZE, scan } from './scan.ts';

export interface CompactOptions extends CallOptions {
  readonly encoders: RafsEncoders;
  /**
   * Blobs are written anew of whose decoded bytes less than this part is used. Default 0.5; 1 means all
   * that hold anything unused, more than 1 all.
   */
  readonly minUsed?: number;
}

/**
 * Writes the chunks that are still used of blobs with many unused ones into one new blob. Other blobs stay
 * as they are.
 *
 * @throws RafsError `RAFS_BAD_OPTION`; as reading the chunks
 */
export async function compactRafs(
  image: RafsImage,
  sink: BlobSink,
  { encoders, minUsed = 0.5, ...call }: CompactOptions,
): Promise<WrittenRafs> {
  const { compressor, digester, chunkSize } = image;
  if (image.version !== 6 || compressor === 'gzip') {
    throw new RafsError('RAFS_BAD_OPTION', 'Cannot compact the image: it is no native one of v6');
  }
  const settings = settle({ encoders, compressor, digester, chunkSize, ...call });
  const { inodes, names } = await scan(image, settings, call);
  const pieces = new Map<Inode, readonly FileChunk[]>();
  for (const inode of inodes) {
    if (isRafsNode(inode.node)) pieces.set(inode, await inode.node.chunks());
  }
  const writer = new BlobWriter(sink, settings);
  const stored = await storedChunks([...pieces.values()].flat(), writer, minUsed, call);
  for (const [inode, chunks] of pieces) {
    inode.chunks = chunks.map(({ blob, chunk }) => stored.get(blob)!.get(chunk.index)!);
  }
  const hasData = writer.chunkCount > 0;
  if (hasData) await writer.finishData();
  const id = hasData ? await writer.finish() : undefined;
  const blobs = new Set<BlobRef>();
  for (const { chunks } of inodes) for (const { blob } of chunks) blobs.add(blob);
  const inodesEnd = layOut(inodes, chunkSize);
  const plan = { inodes, names, inodesEnd, blobs: [...blobs], prefetch: [], settings };
  return {
    bootstrap: encodeBootstrap(plan),
    blob: id === undefined ? undefined : { id, size: writer.size, chunks: writer.chunkCount },
    blobs: plan.blobs.map(({ info }, index) => ({ ...info, index })),
    inodes: inodes.length,
  };
}

type Stored = ReadonlyMap<RafsBlob, ReadonlyMap<number, StoredChunk>>;

/** Where each chunk that is used will lie. */
async function storedChunks(
  pieces: readonly FileChunk[],
  writer: BlobWriter,
  minUsed: number,
  { signal }: CallOptions,
): Promise<Stored> {
  const used = new Map<RafsBlob, Map<number, Chunk>>();
  for (const { blob, chunk } of pieces) {
    const chunks = used.get(blob) ?? new Map<number, Chunk>();
    used.set(blob, chunks.set(chunk.index, chunk));
  }
  const stored = new Map<RafsBlob, Map<number, StoredChunk>>();
  const known = new Map<string, StoredChunk>();
  for (const [blob, chunks] of used) {
    const anew = usedPart(blob, chunks) < minUsed;
    const ref: BlobRef = { info: blob.info };
    const places = new Map<number, StoredChunk>();
    for (const [index, chunk] of chunks) {
      signal?.throwIfAborted();
      const digest = new Uint8Array(await digestOf(blob, index));
      const key = chunkKey(digest, chunk.size);
      const there = anew ? known.get(key) : { blob: ref, chunk, digest };
      const place = there ?? (await writer.add(await blob.readChunk(chunk), digest, false));
      if (anew) known.set(key, place);
      places.set(index, place);
    }
    stored.set(blob, places);
  }
  return stored;
}

function usedPart({ info }: RafsBlob, chunks: ReadonlyMap<number, Chunk>): number {
  let size = 0;
  for (const chunk of chunks.values()) size += Math.ceil(chunk.size / BLOCK_SIZE) * BLOCK_SIZE;
  return size / info.uncompressedSize;
}

async function digestOf(blob: RafsBlob, index: number): Promise<Uint8Array> {
  const digest = await blob.digest(index);
  if (digest !== undefined) return digest;
  throw new RafsError('RAFS_BAD_OPTION', `Cannot compact the image: chunk ${index} has no digest`);
}
