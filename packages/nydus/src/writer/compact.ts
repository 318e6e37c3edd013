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
import { ChunkDictionary } from './dictionary.ts';
import type { RafsEncoders } from './encoders.ts';
import type { WrittenRafs } from './image.ts';
import type { Inode } from './inode.ts';
import { layOut } from './layout.ts';
import type { NamedImage } from './named-image.ts';
import { settle } from './options.ts';
import { BLOCK_SIZE, scan } from './scan.ts';

export interface CompactOptions extends CallOptions {
  readonly encoders: RafsEncoders;
  /**
   * Blobs are written anew of whose decoded bytes less than this part is used. Default 0.5; 1 means all
   * that hold anything unused, more than 1 all.
   */
  readonly minUsed?: number;
  /**
   * Chunks that are taken instead of those of the image that are the same. Blobs of which it has chunks
   * stay as they are.
   */
  readonly dictionary?: ChunkDictionary;
  /** What the blob is called that holds the image's bootstrap, where one does. */
  readonly self?: NamedImage['self'];
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
  { encoders, minUsed = 0.5, dictionary, self, ...call }: CompactOptions,
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
  dictionary?.checkLike(image);
  const moving = new Moving({ image, ...(self && { self }) }, writer, dictionary);
  const stored = await moving.place([...pieces.values()].flat(), minUsed, call);
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

type Places = ReadonlyMap<RafsBlob, ReadonlyMap<number, StoredChunk>>;

/** A chunk that is used, and its digest. */
interface Used {
  readonly chunk: Chunk;
  readonly digest: Uint8Array;
}

/** Finds out where each chunk that is used will lie. */
class Moving {
  readonly #layer: NamedImage;
  readonly #writer: BlobWriter;
  readonly #dictionary: ChunkDictionary;
  /** Blobs of which the dictionary had chunks before this image came. */
  readonly #kept: ReadonlySet<RafsBlob>;
  readonly #known = new Map<string, StoredChunk>();

  constructor(layer: NamedImage, writer: BlobWriter, dictionary = new ChunkDictionary()) {
    this.#layer = layer;
    this.#writer = writer;
    this.#dictionary = dictionary;
    this.#kept = new Set(layer.image.blobs.filter(({ info }) => dictionary.blobs.has(info)));
  }

  async place(pieces: readonly FileChunk[], minUsed: number, call: CallOptions): Promise<Places> {
    const used = new Map<RafsBlob, Map<number, Used>>();
    const places = new Map<RafsBlob, Map<number, StoredChunk>>();
    for (const { blob, chunk } of pieces) {
      if (places.get(blob)?.has(chunk.index) || used.get(blob)?.has(chunk.index)) continue;
      const digest = new Uint8Array(await digestOf(blob, chunk.index));
      const there = this.#dictionary.find(digest, chunk.size);
      if (there) inMap(places, blob).set(chunk.index, there);
      else inMap(used, blob).set(chunk.index, { chunk, digest });
    }
    for (const [blob, chunks] of used) {
      const anew = !this.#kept.has(blob) && usedPart(blob, chunks) < minUsed;
      for (const [index, each] of chunks) {
        call.signal?.throwIfAborted();
        const place = anew ? await this.#move(blob, each) : this.#stay(blob, each);
        inMap(places, blob).set(index, place);
      }
    }
    return places;
  }

  #stay(blob: RafsBlob, { chunk, digest }: Used): StoredChunk {
    return { blob: this.#dictionary.blobs.of(this.#layer, blob.info), chunk, digest };
  }

  async #move(blob: RafsBlob, { chunk, digest }: Used): Promise<StoredChunk> {
    const key = chunkKey(digest, chunk.size);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const place = await this.#writer.add(await blob.readChunk(chunk), digest, false);
    this.#known.set(key, place);
    return place;
  }
}

function inMap<V>(maps: Map<RafsBlob, Map<number, V>>, blob: RafsBlob): Map<number, V> {
  const known = maps.get(blob) ?? new Map<number, V>();
  maps.set(blob, known);
  return known;
}

function usedPart({ info }: RafsBlob, chunks: ReadonlyMap<number, Used>): number {
  let size = 0;
  for (const { chunk } of chunks.values()) size += Math.ceil(chunk.size / BLOCK_SIZE) * BLOCK_SIZE;
  return size / info.uncompressedSize;
}

async function digestOf(blob: RafsBlob, index: number): Promise<Uint8Array> {
  const digest = await blob.digest(index);
  if (digest !== undefined) return digest;
  throw new RafsError('RAFS_BAD_OPTION', `Cannot compact the image: chunk ${index} has no digest`);
}
