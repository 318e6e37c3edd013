import {
  AnoleError,
  type Awaitable,
  type BytesCache,
  checkRange,
  type Flow,
  flow,
  type Source,
  wait,
} from '@anole/bytes';
import type { RafsCodecs } from '../codecs.ts';
import { damaged, RafsError } from '../errors.ts';
import { DIGEST_SIZE } from '../layout/algorithms.ts';
import { blobFeatures } from '../layout/blob.ts';
import { parts } from '../layout/toc.ts';
import type { BlobInfo } from './blob-info.ts';
import { type BlobMeta, readBlobMeta } from './blob-meta.ts';
import type { Chunk, ChunkTable } from './chunk.ts';
import { ChunkFinder } from './chunk-finder.ts';
import { ChunkReader } from './chunk-reader.ts';
import type { ChunkRecords } from './chunk-records.ts';
import { Once } from './once.ts';
import { readPart, readParts } from './toc.ts';

/** Gives the bytes of a blob by its name; undefined where there are none. */
export type BlobResolver = (id: string) => Awaitable<Source | undefined>;

/** What blobs of an image share. */
export interface BlobSurroundings {
  readonly resolve: BlobResolver;
  readonly codecs: RafsCodecs;
  readonly cache: BytesCache;
  /** The table of chunks of the bootstrap. */
  readonly records: Once<ChunkRecords>;
}

interface Tables {
  readonly meta: BlobMeta | undefined;
  readonly chunks: ChunkTable;
  readonly finder: ChunkFinder;
}

/**
 * The data of one blob, as the address space in which each chunk lies decoded, which inodes of RAFS v6
 * refer to; what lies between chunks is zeros. Chunks are fetched, decoded and verified when they are
 * needed.
 */
export class RafsBlob implements Source {
  readonly info: BlobInfo;
  /** Bytes decoded, in whole blocks. */
  readonly size: number;
  /** Whether it is a tar archive as it is, of which no chunks are known. */
  readonly #isTar: boolean;
  readonly #around: BlobSurroundings;
  readonly #reader: ChunkReader;
  readonly #data: Once<Source>;
  readonly #tables: Once<Tables>;
  readonly #digests: Once<Uint8Array | null>;
  readonly #recorded: Once<ChunkFinder | null>;

  constructor(info: BlobInfo, around: BlobSurroundings) {
    this.info = info;
    this.#isTar = (info.features & blobFeatures.tarfs) !== 0;
    const { uncompressedSize } = info;
    this.size = this.#isTar ? uncompressedSize : Math.ceil(uncompressedSize / 4096) * 4096;
    this.#around = around;
    this.#data = new Once(() => flow(() => this.#resolve(info.id)));
    this.#tables = new Once(() => flow(() => this.#readTables()));
    this.#digests = new Once(() => flow(() => this.#readDigests()));
    this.#recorded = new Once(() => flow(() => this.#readRecorded()));
    const storage = {
      data: () => this.data(),
      batch: (index: number) => this.#batch(index),
      checkpoint: (index: number) => this.#checkpoint(index),
    };
    this.#reader = new ChunkReader(info, storage, around.codecs, around.cache);
  }

  /**
   * The blob as it is stored.
   *
   * @throws RafsError `RAFS_NO_BLOB`
   */
  data(): Awaitable<Source> {
    return this.#data.get();
  }

  /** Where all chunks lie. Reads the table of chunks when it is first called. */
  chunks(): Awaitable<ChunkTable> {
    return flow(() => this.#chunks());
  }

  *#chunks(): Flow<ChunkTable> {
    return (yield* wait(this.#tables.get())).chunks;
  }

  /**
   * The chunks that the bootstrap tells of by itself, which are those of its files, with numbers that may
   * have gaps; none where it leaves that to the blob. Needs no blob.
   */
  recorded(): Awaitable<ChunkTable> {
    return flow(() => this.#recordedTable());
  }

  *#recordedTable(): Flow<ChunkTable> {
    return (yield* wait(this.#around.records.get())).table(this.info.index);
  }

  /**
   * The chunk that a byte of the decoded blob belongs to, else the next one; undefined behind the last.
   * Where the blob is missing, as far as the bootstrap tells.
   */
  chunkAt(offset: number): Awaitable<Chunk | undefined> {
    return flow(() => this.#chunkAt(offset));
  }

  *#chunkAt(offset: number): Flow<Chunk | undefined> {
    try {
      return (yield* wait(this.#tables.get())).finder.at(offset);
    } catch (error) {
      if (!AnoleError.is(error) || error.code !== 'RAFS_NO_BLOB') throw error;
      const recorded = yield* wait(this.#recorded.get());
      if (recorded === null) throw error;
      return recorded.at(offset);
    }
  }

  *#readRecorded(): Flow<ChunkFinder | null> {
    const table = yield* this.#recordedTable();
    return table.count === 0 ? null : new ChunkFinder(table, this.info);
  }

  /**
   * A chunk, decoded and verified. Aliases what the image keeps: do not write to it.
   *
   * @param digest that it must have, where the caller knows it already
   * @throws RafsError `RAFS_NO_BLOB`, `RAFS_BAD_CHUNK`, `RAFS_WRONG_CONTENT`, `RAFS_UNSUPPORTED`
   */
  readChunk(chunk: Chunk, digest?: Uint8Array): Awaitable<Uint8Array> {
    return this.#reader.read(chunk, () => this.#digest(chunk.index, digest));
  }

  /** The digest that a chunk must have; undefined where neither bootstrap nor blob tell. */
  digest(index: number): Awaitable<Uint8Array | undefined> {
    return flow(() => this.#digest(index));
  }

  read(offset: number, length: number): Awaitable<Uint8Array> {
    checkRange(offset, length, this.size);
    return flow(() => this.#read(offset, length));
  }

  *#read(offset: number, length: number): Flow<Uint8Array> {
    if (this.#isTar) return yield* wait((yield* wait(this.data())).read(offset, length));
    const { finder } = yield* wait(this.#tables.get());
    const first = finder.at(offset);
    const end = offset + length;
    if (first && first.offset <= offset && end <= first.offset + first.size) {
      const bytes = yield* wait(this.readChunk(first));
      return bytes.subarray(offset - first.offset, end - first.offset);
    }
    const out = new Uint8Array(length);
    for (let chunk = first; chunk !== undefined && chunk.offset < end; ) {
      const bytes = yield* wait(this.readChunk(chunk));
      const from = Math.max(0, offset - chunk.offset);
      out.set(bytes.subarray(from, end - chunk.offset), Math.max(0, chunk.offset - offset));
      chunk = finder.at(chunk.offset + chunk.size);
    }
    return out;
  }

  *#digest(index: number, given?: Uint8Array): Flow<Uint8Array | undefined> {
    if (given !== undefined) return given;
    const records = yield* wait(this.#around.records.get());
    const known = records.digest(this.info.index, index);
    if (known !== undefined) return known;
    const inlined = yield* wait(this.#digests.get());
    return inlined?.subarray(index * DIGEST_SIZE, (index + 1) * DIGEST_SIZE);
  }

  /** Digests that lie in the blob, null where there are none. */
  *#readDigests(): Flow<Uint8Array | null> {
    const source = yield* this.#metaSource();
    const part = (yield* wait(readParts(source))).find(({ name }) => name === parts.digests);
    if (part === undefined) return null;
    const digests = yield* readPart(source, part, this.#around.codecs);
    if (digests.length === (yield* this.#chunks()).count * DIGEST_SIZE) return digests;
    throw damaged('RAFS_BAD_BLOB_META', `Cannot use the digests of ${this.info.id}: too few`);
  }

  *#readTables(): Flow<Tables> {
    const { info } = this;
    const { codecs, records } = this.#around;
    const meta = info.meta && (yield* readBlobMeta(yield* this.#metaSource(), info, codecs));
    const chunks = meta?.chunks ?? (yield* wait(records.get())).table(info.index);
    return { meta, chunks, finder: new ChunkFinder(chunks, info) };
  }

  *#batch(index: number) {
    return (yield* this.#meta()).batch(index);
  }

  *#checkpoint(index: number) {
    return (yield* this.#meta()).checkpoint(index);
  }

  *#meta(): Flow<BlobMeta> {
    const { meta } = yield* wait(this.#tables.get());
    if (meta !== undefined) return meta;
    throw damaged('RAFS_BAD_BLOB', `Cannot read ${this.info.id}: it has no table of chunks`);
  }

  *#metaSource(): Flow<Source> {
    const { metaId } = this.info;
    return metaId === undefined ? yield* wait(this.data()) : yield* this.#resolve(metaId);
  }

  *#resolve(id: string): Flow<Source> {
    const source = yield* wait(this.#around.resolve(id));
    if (source !== undefined) return source;
    throw new RafsError('RAFS_NO_BLOB', `Cannot read the image: its blob ${id} is missing`, {
      details: { blob: id },
      hint: 'give the directory or the registry that has it',
    });
  }
}
