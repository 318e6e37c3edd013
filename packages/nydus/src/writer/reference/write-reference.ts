import type { Checksum } from '@anole/bytes';
import { readTar } from '@anole/vfs';
import { toHex } from '../../hex.ts';
import { CHUNK_SIZE_MAX, CHUNKS_MAX } from '../../layout/algorithms.ts';
import { blobFeatures } from '../../layout/blob.ts';
import { META_MAX } from '../../reader/blob-meta.ts';
import { BlobOutput, type BlobSink } from '../blob-output.ts';
import { BlobTail } from '../blob-tail.ts';
import { ChunkInfoTable } from '../chunk-info-table.ts';
import { type BlobRef, chunkKey, type StoredChunk } from '../chunks.ts';
import type { WrittenBlob } from '../image.ts';
import { badOption, type RafsWriteOptions, type Settings, settle } from '../options.ts';
import { Checkpoints, cannotRefer } from './checkpoints.ts';
import { GzipBlocks } from './gzip-blocks.ts';

export interface RafsReferenceOptions
  extends Pick<RafsWriteOptions, 'encoders' | 'chunkSize' | 'signal'> {
  /** CRC-32, where there is a faster one than that of `@anole/bytes`. */
  readonly checksum?: Checksum;
}

export interface WrittenReference {
  /** The layer: as a blob it has the SHA-256 of its bytes as its name. */
  readonly id: string;
  readonly size: number;
  /** The blob that was written, with the tables; undefined where the layer has no data, and nothing was. */
  readonly blob: WrittenBlob | undefined;
  /** Of files that the layer has as they are. Sparse ones are not among them. */
  readonly chunks: readonly StoredChunk[];
}

const ALIGN = 4096;

/**
 * Reads a tar layer that is compressed by gzip once, and writes the blob by which RAFS refers to its data where they
 * are: chunks, checkpoints of the stream (zran), digests. Images are written later by a dictionary that knows the
 * chunks. As `nydus-image create --type targz-ref`.
 *
 * @throws RafsError `RAFS_CANNOT_STORE` for a stream that cannot be read from its middle; TarError; AnoleError
 *   `GZIP_DAMAGED`, `DEFLATE_DAMAGED`
 */
export async function writeRafsReference(
  stored: AsyncIterable<Uint8Array>,
  sink: BlobSink,
  options: RafsReferenceOptions,
): Promise<WrittenReference> {
  const settings = settle({ ...options, compressor: 'zstd', digester: 'sha256', toc: true });
  // Sizes in tables of version 2 have 24 bits.
  if (settings.chunkSize === CHUNK_SIZE_MAX) {
    throw badOption('chunkSize', settings.chunkSize, 'of a reference, half of it is the most');
  }
  const writer = new ReferenceWriter(settings, options.checksum);
  await writer.readLayer(stored, options.signal);
  return writer.finish(sink);
}

class ReferenceWriter {
  readonly #settings: Settings;
  readonly #blocks: GzipBlocks;
  readonly #checkpoints: Checkpoints;
  readonly #table = new ChunkInfoTable(2);
  readonly #chunks = new Map<string, StoredChunk>();
  readonly #ref = {} as BlobRef;
  #decoded = 0;
  #id = '';

  constructor(settings: Settings, checksum: Checksum | undefined) {
    this.#settings = settings;
    this.#blocks = new GzipBlocks(checksum);
    this.#checkpoints = new Checkpoints(this.#blocks);
  }

  async readLayer(stored: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const hash = this.#settings.encoders.sha256();
    async function* hashed(): AsyncGenerator<Uint8Array> {
      for await (const chunk of stored) {
        hash.update(chunk);
        yield chunk;
      }
    }
    const archive = this.#blocks.decode(hashed());
    for await (const entry of readTar(archive, signal ? { signal } : {})) {
      const { type, size, extents, dataOffset } = entry;
      if (type !== 'file' || size === 0 || extents !== undefined) continue;
      await this.#readFile(entry.stored(), dataOffset, size);
    }
    this.#id = toHex(hash.digest());
  }

  async #readFile(
    pieces: AsyncIterable<Uint8Array>,
    dataOffset: number,
    fileSize: number,
  ): Promise<void> {
    const { chunkSize } = this.#settings;
    let at = 0;
    let chunk = new Uint8Array(0);
    let filled = 0;
    for await (const piece of pieces) {
      for (let taken = 0; taken < piece.length; ) {
        if (filled === 0) {
          chunk = new Uint8Array(Math.min(chunkSize, fileSize - at));
          this.#checkpoints.begin(dataOffset + at, chunk.length);
        }
        const part = piece.subarray(taken, taken + chunk.length - filled);
        chunk.set(part, filled);
        filled += part.length;
        taken += part.length;
        if (filled < chunk.length) continue;
        at += filled;
        this.#put(chunk, dataOffset + at);
        filled = 0;
      }
    }
  }

  /** A chunk that ends before byte `out` of the archive. */
  #put(bytes: Uint8Array, out: number): void {
    const { index, offset, start, end } = this.#checkpoints.end(out);
    const digest = this.#settings.encoders.hash.sha256(bytes);
    const key = chunkKey(digest, bytes.length);
    if (this.#chunks.has(key)) return;
    if (this.#table.count >= CHUNKS_MAX - 1) {
      throw cannotRefer(`it has over ${CHUNKS_MAX - 1} chunks`);
    }
    const chunk = {
      index: this.#table.count,
      compressedOffset: start,
      compressedSize: Math.min(end - start, CHUNK_SIZE_MAX - 1),
      offset: this.#decoded,
      size: bytes.length,
      compressed: true,
      encrypted: false,
      part: { kind: 'zran', index, offset },
      crc32: undefined,
    } as const;
    this.#decoded += Math.ceil(bytes.length / ALIGN) * ALIGN;
    this.#table.add(chunk);
    this.#chunks.set(key, { blob: this.#ref, chunk, digest });
  }

  async finish(sink: BlobSink): Promise<WrittenReference> {
    const { size } = this.#blocks;
    const chunks = [...this.#chunks.values()];
    if (chunks.length === 0) return { id: this.#id, size, blob: undefined, chunks };
    for (const checkpoint of this.#checkpoints.all) this.#table.addCheckpoint(checkpoint);
    if (this.#table.size > META_MAX) throw cannotRefer(`its tables have ${this.#table.size} bytes`);
    const output = new BlobOutput(sink, this.#settings.encoders.sha256());
    const tail = new BlobTail(output, this.#settings);
    const digests = chunks.map(({ digest }) => digest);
    const meta = await tail.writeTables(this.#table, features, digests);
    const ended = await tail.finish();
    this.#ref.info = {
      id: this.#id,
      chunkSize: this.#settings.chunkSize,
      chunkCount: chunks.length,
      compressor: 'gzip',
      digester: 'sha256',
      cipher: 'none',
      features,
      compressedSize: size,
      uncompressedSize: this.#decoded,
      meta,
      metaId: ended.id,
      metaSize: ended.size,
      tocSize: ended.tocSize,
      tocDigest: ended.tocDigest,
      key: undefined,
    };
    const blob = { id: ended.id, size: ended.size, chunks: chunks.length };
    return { id: this.#id, size, blob, chunks };
  }
}

const features =
  blobFeatures.aligned |
  blobFeatures.chunkInfoV2 |
  blobFeatures.zran |
  blobFeatures.separate |
  blobFeatures.inlinedChunkDigest |
  blobFeatures.tarHeader |
  blobFeatures.toc |
  blobFeatures.capTarToc;
