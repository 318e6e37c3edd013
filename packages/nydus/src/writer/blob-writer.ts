import { RafsError } from '../errors.ts';
import { CHUNKS_MAX } from '../layout/algorithms.ts';
import { blobFeatures, SELF_ID } from '../layout/blob.ts';
import { parts } from '../layout/toc.ts';
import type { Chunk } from '../reader/chunk.ts';
import { BlobOutput, type BlobSink } from './blob-output.ts';
import { BlobTail, type Encoded, encode, join, smaller } from './blob-tail.ts';
import { ChunkInfoTable } from './chunk-info-table.ts';
import type { BlobRef, StoredChunk } from './chunks.ts';
import type { Settings } from './options.ts';

const ALIGN = 4096;
/** Chunks that are compressed at the same time. */
const AHEAD = 4;

/** A chunk whose place is not known yet. */
interface Waiting {
  readonly chunk: { -readonly [K in keyof Chunk]: Chunk[K] };
  readonly encoded: Promise<Encoded>;
  /** Memory that another chunk can have when this one is written. */
  readonly memory: Uint8Array;
}

/**
 * Writes a blob: chunks, then what stands behind them. Source: nydus builder/src/core/blob.rs.
 */
export class BlobWriter {
  readonly ref: BlobRef;
  readonly #settings: Settings;
  readonly #output: BlobOutput;
  readonly #table: ChunkInfoTable;
  readonly #tail: BlobTail;
  readonly #digests: Uint8Array[] = [];
  #decoded = 0;
  #waiting: Waiting[] = [];
  /** Memory of chunks that have been written. */
  #free: Uint8Array[] = [];
  /** Small files that will be compressed together. */
  #batch: Uint8Array[] = [];
  #batchSize = 0;

  constructor(sink: BlobSink, settings: Settings) {
    this.#settings = settings;
    this.#output = new BlobOutput(sink, settings.encoders.sha256());
    this.#tail = new BlobTail(this.#output, settings);
    const { batchSize, key } = settings;
    this.#table = new ChunkInfoTable(batchSize > 0 || key !== undefined ? 2 : 1);
    this.ref = { info: this.#info() };
    if (settings.toc) this.#output.startPart(settings.encoders.sha256());
  }

  get chunkCount(): number {
    return this.#table.count;
  }

  /**
   * Stores a chunk. Where it lies is known when `finishData` has settled.
   *
   * @param batched whether it may go into a batch
   */
  async add(bytes: Uint8Array, digest: Uint8Array, batched: boolean): Promise<StoredChunk> {
    if (this.chunkCount >= CHUNKS_MAX - 1) {
      throw new RafsError('RAFS_CANNOT_STORE', `Cannot store more than ${CHUNKS_MAX - 1} chunks`);
    }
    const chunk = batched ? await this.#addToBatch(bytes) : await this.#addAlone(bytes);
    this.#decoded += Math.ceil(bytes.length / ALIGN) * ALIGN;
    this.#table.add(chunk);
    this.#digests.push(digest);
    return { blob: this.ref, chunk, digest };
  }

  async #addAlone(bytes: Uint8Array): Promise<Chunk> {
    await this.#endBatch();
    const { compressor, encoders } = this.#settings;
    const ahead = compressor === 'none' ? undefined : encoders.compressAhead?.[compressor];
    if (ahead === undefined) {
      const compressedOffset = this.#output.position;
      const { stored, compressed } = encode(bytes, this.#settings);
      await this.#output.write(stored);
      return this.#chunk(bytes.length, compressedOffset, stored.length, compressed);
    }
    const memory = this.#free.pop() ?? new Uint8Array(this.#settings.chunkSize);
    const own = memory.subarray(0, bytes.length);
    own.set(bytes);
    const encoded = ahead(own).then((packed) => smaller(own, packed, this.#settings));
    // What it raises is met when its turn comes.
    encoded.catch(() => {});
    const chunk = this.#chunk(bytes.length, 0, 0, false);
    this.#waiting.push({ chunk, encoded, memory });
    if (this.#waiting.length === AHEAD) await this.#writeNext();
    return chunk;
  }

  /** Writes the chunk that has waited longest, and puts down where. */
  async #writeNext(): Promise<void> {
    const { chunk, encoded, memory } = this.#waiting.shift()!;
    const { stored, compressed } = await encoded;
    chunk.compressedOffset = this.#output.position;
    chunk.compressedSize = stored.length;
    chunk.compressed = compressed;
    await this.#output.write(stored);
    this.#free.push(memory);
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) await this.#writeNext();
  }

  async #addToBatch(bytes: Uint8Array): Promise<Chunk> {
    await this.#writeWaiting();
    if (this.#batchSize + bytes.length >= this.#settings.batchSize) await this.#endBatch();
    const chunk = this.#chunk(bytes.length, this.#output.position, 0, true);
    const part = { kind: 'batch', index: this.#table.contexts, offset: this.#batchSize } as const;
    this.#batch.push(bytes.slice());
    this.#batchSize += bytes.length;
    return { ...chunk, part };
  }

  async #endBatch(): Promise<void> {
    if (this.#batchSize === 0) return;
    const bytes = join(this.#batch, this.#batchSize);
    const { stored } = encode(bytes, this.#settings);
    await this.#output.write(stored);
    this.#table.addBatch(stored.length, bytes.length);
    this.#batch = [];
    this.#batchSize = 0;
  }

  #chunk(
    size: number,
    offset: number,
    compressedSize: number,
    compressed: boolean,
  ): Waiting['chunk'] {
    return {
      index: this.chunkCount,
      compressedOffset: offset,
      compressedSize,
      offset: this.#decoded,
      size,
      compressed,
      encrypted: this.#settings.key !== undefined,
      part: undefined,
      crc32: undefined,
    };
  }

  /** What stands behind the chunks. Nothing may be added then; `ref` says where it all lies. */
  async finishData(): Promise<void> {
    await this.#writeWaiting();
    await this.#endBatch();
    const { toc, inlineBootstrap } = this.#settings;
    const size = this.#output.position;
    if (toc || inlineBootstrap) await this.#output.tarHeader(parts.data, size);
    // nydus-image counts the header in, too.
    if (toc) {
      const digest = this.#output.endPart();
      const place = { offset: 0, compressedSize: size, size: this.#decoded };
      this.#tail.addPart({ name: parts.data, compressor: 'none', digest, ...place });
    }
    if (this.chunkCount > 0) {
      const info = this.#info();
      const meta = await this.#tail.writeTables(this.#table, info.features, this.#digests);
      this.ref.info = { ...info, meta };
    }
  }

  /** Puts the bootstrap into the blob, which it calls by a name that stands for any. */
  addBootstrap(bootstrap: Uint8Array): Promise<void> {
    return this.#tail.addBootstrap(bootstrap);
  }

  /** Ends the blob; gives its name. */
  async finish(): Promise<string> {
    const { id, size, tocSize, tocDigest } = await this.#tail.finish();
    this.ref.info = { ...this.ref.info, id, compressedSize: size, tocSize, tocDigest };
    return id;
  }

  get size(): number {
    return this.#output.position;
  }

  /** As a bootstrap inside the blob has it, which knows neither its name nor its whole size. */
  #info(): BlobRef['info'] {
    const { chunkSize, compressor, digester, key } = this.#settings;
    return {
      id: SELF_ID,
      chunkSize,
      chunkCount: this.chunkCount,
      compressor,
      digester,
      cipher: key ? 'aes128xts' : 'none',
      features: this.#features(),
      compressedSize: this.#output?.position ?? 0,
      uncompressedSize: this.#decoded,
      meta: undefined,
      metaId: undefined,
      metaSize: 0,
      tocSize: 0,
      tocDigest: new Uint8Array(32),
      key,
    };
  }

  #features(): number {
    const { toc, inlineBootstrap, key, batchSize } = this.#settings;
    const set = (flag: number, is: boolean) => (is ? flag : 0);
    return (
      blobFeatures.aligned |
      blobFeatures.capTarToc |
      set(blobFeatures.tarHeader, toc || inlineBootstrap) |
      set(blobFeatures.toc, toc) |
      set(blobFeatures.inlinedChunkDigest, toc && this.chunkCount > 0) |
      set(blobFeatures.inlinedFsMeta, inlineBootstrap) |
      set(blobFeatures.encrypted, key !== undefined) |
      set(blobFeatures.batch, batchSize > 0) |
      set(blobFeatures.chunkInfoV2, this.#table.version === 2)
    );
  }
}
