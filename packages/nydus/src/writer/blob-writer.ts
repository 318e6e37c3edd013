import { viewOf } from '@anole/bytes';
import { RafsError } from '../errors.ts';
import { toHex } from '../hex.ts';
import { CHUNKS_MAX } from '../layout/algorithms.ts';
import { blobFeatures, SELF_ID } from '../layout/blob.ts';
import { parts, TOC_ENTRY_SIZE, TocEntry, tocFlags } from '../layout/toc.ts';
import type { Chunk } from '../reader/chunk.ts';
import { BlobOutput, type BlobSink } from './blob-output.ts';
import { ChunkInfoTable } from './chunk-info-table.ts';
import type { BlobRef, StoredChunk } from './chunks.ts';
import type { Settings } from './options.ts';

const ALIGN = 4096;
/** Chunks that are compressed at the same time. */
const AHEAD = 4;

interface TocPart {
  readonly name: string;
  readonly flags: number;
  readonly digest: Uint8Array;
  readonly offset: number;
  readonly compressedSize: number;
  readonly size: number;
}

interface Encoded {
  readonly stored: Uint8Array;
  readonly compressed: boolean;
}

/** A chunk whose place is not known yet. */
interface Waiting {
  readonly chunk: { -readonly [K in keyof Chunk]: Chunk[K] };
  readonly encoded: Promise<Encoded>;
}

/**
 * Writes a blob: chunks, then their table, their digests, the bootstrap and a table of contents, as far
 * as they are wanted. Source: nydus builder/src/core/blob.rs.
 */
export class BlobWriter {
  readonly ref: BlobRef;
  readonly #settings: Settings;
  readonly #output: BlobOutput;
  readonly #table: ChunkInfoTable;
  readonly #toc: TocPart[] = [];
  readonly #digests: Uint8Array[] = [];
  #decoded = 0;
  #waiting: Waiting[] = [];
  /** Small files that will be compressed together. */
  #batch: Uint8Array[] = [];
  #batchSize = 0;

  constructor(sink: BlobSink, settings: Settings) {
    this.#settings = settings;
    this.#output = new BlobOutput(sink, settings.encoders.sha256());
    this.#table = new ChunkInfoTable(settings);
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
      const { stored, compressed } = this.#encode(bytes);
      await this.#output.write(stored);
      return this.#chunk(bytes.length, compressedOffset, stored.length, compressed);
    }
    const own = bytes.slice();
    const encoded = ahead(own).then((packed) => this.#smaller(own, packed));
    // What it raises is met when its turn comes.
    encoded.catch(() => {});
    const chunk = this.#chunk(bytes.length, 0, 0, false);
    this.#waiting.push({ chunk, encoded });
    if (this.#waiting.length === AHEAD) await this.#writeNext();
    return chunk;
  }

  /** Writes the chunk that has waited longest, and puts down where. */
  async #writeNext(): Promise<void> {
    const { chunk, encoded } = this.#waiting.shift()!;
    const { stored, compressed } = await encoded;
    chunk.compressedOffset = this.#output.position;
    chunk.compressedSize = stored.length;
    chunk.compressed = compressed;
    await this.#output.write(stored);
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) await this.#writeNext();
  }

  async #addToBatch(bytes: Uint8Array): Promise<Chunk> {
    await this.#writeWaiting();
    if (this.#batchSize + bytes.length >= this.#settings.batchSize) await this.#endBatch();
    const chunk = this.#chunk(bytes.length, this.#output.position, 0, true);
    const part = { kind: 'batch', index: this.#table.batches, offset: this.#batchSize } as const;
    this.#batch.push(bytes.slice());
    this.#batchSize += bytes.length;
    return { ...chunk, part };
  }

  async #endBatch(): Promise<void> {
    if (this.#batchSize === 0) return;
    const bytes = join(this.#batch, this.#batchSize);
    const { stored } = this.#encode(bytes);
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

  /** Compressed where that makes it smaller, then encrypted. */
  #encode(bytes: Uint8Array): Encoded {
    const { compressor, encoders } = this.#settings;
    return this.#smaller(
      bytes,
      compressor === 'none' ? bytes : encoders.compress[compressor]!(bytes),
    );
  }

  #smaller(bytes: Uint8Array, packed: Uint8Array): Encoded {
    const { encoders, key } = this.#settings;
    const compressed = packed.length < bytes.length;
    const stored = compressed ? packed : bytes;
    return { stored: key ? encoders.encrypt!(stored, key) : stored, compressed };
  }

  /** What stands behind the chunks. Nothing may be added then; `ref` says where it all lies. */
  async finishData(): Promise<void> {
    await this.#writeWaiting();
    await this.#endBatch();
    const { toc } = this.#settings;
    const size = this.#output.position;
    if (this.#hasHeaders) await this.#output.tarHeader(parts.data, size);
    // nydus-image counts the header in, too.
    if (toc)
      this.#addPart(parts.data, tocFlags.none, this.#output.endPart(), 0, size, this.#decoded);
    if (this.chunkCount > 0) await this.#writeTables();
  }

  async #writeTables(): Promise<void> {
    const { toc, encoders, key } = this.#settings;
    const offset = this.#output.position;
    const bytes = this.#table.encode();
    const { stored, compressed } = this.#encode(bytes);
    const compressor = compressed ? this.#settings.compressor : 'none';
    const place = {
      compressor,
      offset,
      compressedSize: stored.length,
      uncompressedSize: bytes.length,
    };
    this.ref.info = { ...this.#info(), meta: place };
    const header = this.#table.header(place, this.ref.info.features);
    // Bytes of a compressor's own memory: before it is used again.
    await this.#output.write(stored);
    const storedHeader = key ? encoders.encrypt!(header, key) : header;
    await this.#output.write(storedHeader);
    if (this.#hasHeaders) {
      await this.#output.tarHeader(parts.meta, stored.length + storedHeader.length);
    }
    if (!toc) return;
    const { sha256 } = encoders.hash;
    const flags = tocFlags[compressor];
    this.#addPart(parts.meta, flags, sha256(bytes), offset, stored.length, bytes.length);
    const headerOffset = offset + stored.length;
    const { length } = storedHeader;
    this.#addPart(parts.metaHeader, tocFlags.none, sha256(header), headerOffset, length, length);
    await this.#writeDigests();
  }

  async #writeDigests(): Promise<void> {
    const bytes = join(this.#digests, this.#digests.length * 32);
    const offset = this.#output.position;
    await this.#output.write(bytes);
    await this.#output.tarHeader(parts.digests, bytes.length);
    const digest = this.#settings.encoders.hash.sha256(bytes);
    this.#addPart(parts.digests, tocFlags.none, digest, offset, bytes.length, bytes.length);
  }

  /** Puts the bootstrap into the blob, which it calls by a name that stands for any. */
  async addBootstrap(bootstrap: Uint8Array): Promise<void> {
    const { toc, encoders } = this.#settings;
    const zstd = toc ? encoders.compress.zstd : undefined;
    const packed = zstd?.(bootstrap);
    const compressed = packed !== undefined && packed.length < bootstrap.length;
    const stored = compressed ? packed : bootstrap;
    const offset = this.#output.position;
    await this.#output.write(stored);
    await this.#output.tarHeader(parts.bootstrap, stored.length);
    if (!toc) return;
    const digest = encoders.hash.sha256(bootstrap);
    const flags = compressed ? tocFlags.zstd : tocFlags.none;
    this.#addPart(parts.bootstrap, flags, digest, offset, stored.length, bootstrap.length);
  }

  /** Ends the blob; gives its name. */
  async finish(): Promise<string> {
    const { toc, encoders } = this.#settings;
    let tocSize = 0;
    let tocDigest: Uint8Array = new Uint8Array(32);
    if (toc) {
      this.#output.startPart(encoders.sha256());
      const start = this.#output.position;
      const entries = encodeToc(this.#toc);
      await this.#output.write(entries);
      await this.#output.tarHeader(parts.toc, entries.length);
      tocSize = this.#output.position - start;
      tocDigest = this.#output.endPart();
    }
    const id = toHex(this.#output.digest());
    const { position: compressedSize } = this.#output;
    this.ref.info = { ...this.ref.info, id, compressedSize, tocSize, tocDigest };
    return id;
  }

  get size(): number {
    return this.#output.position;
  }

  get #hasHeaders(): boolean {
    return this.#settings.toc || this.#settings.inlineBootstrap;
  }

  #addPart(
    name: string,
    flags: number,
    digest: Uint8Array,
    offset: number,
    compressedSize: number,
    size: number,
  ): void {
    this.#toc.push({ name, flags, digest, offset, compressedSize, size });
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

function encodeToc(entries: readonly TocPart[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * TOC_ENTRY_SIZE);
  entries.forEach(({ name, flags, digest, offset, compressedSize, size }, at) => {
    const padded = new Uint8Array(16);
    padded.set(new TextEncoder().encode(name));
    TocEntry.write(viewOf(bytes), at * TOC_ENTRY_SIZE, {
      flags,
      name: padded,
      uncompressedDigest: digest,
      compressedOffset: offset,
      compressedSize,
      uncompressedSize: size,
    });
  });
  return bytes;
}

function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
