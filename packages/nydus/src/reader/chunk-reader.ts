import {
  type Awaitable,
  type BytesCache,
  crc32c,
  type Flow,
  flow,
  GunzipStream,
  INFLATE_WINDOW,
  type InflateStart,
  type Source,
  wait,
} from '@anole/bytes';
import type { RafsCodecs } from '../codecs.ts';
import { damaged, RafsError } from '../errors.ts';
import { sameBytes, toHex } from '../hex.ts';
import { CHUNK_SIZE_MAX } from '../layout/algorithms.ts';
import type { BlobInfo } from './blob-info.ts';
import { type Batch, type Checkpoint, decrypted } from './blob-meta.ts';
import type { Chunk, ChunkPart } from './chunk.ts';

/** Where chunks of a blob are read from. */
export interface ChunkStorage {
  data(): Awaitable<Source>;
  batch(index: number): Flow<Batch>;
  checkpoint(index: number): Flow<Checkpoint>;
}

/** Bytes between two checkpoints of a gzip stream; nydus-image leaves 2 MiB. */
export const SPAN_MAX = 2 * CHUNK_SIZE_MAX;

/** Fetches, decodes and verifies chunks of one blob. */
export class ChunkReader {
  readonly #blob: BlobInfo;
  readonly #storage: ChunkStorage;
  readonly #codecs: RafsCodecs;
  readonly #cache: BytesCache;
  #gunzip: GunzipStream | undefined;

  constructor(blob: BlobInfo, storage: ChunkStorage, codecs: RafsCodecs, cache: BytesCache) {
    this.#blob = blob;
    this.#storage = storage;
    this.#codecs = codecs;
    this.#cache = cache;
  }

  /**
   * The bytes of a chunk. They alias the cache.
   *
   * @throws RafsError `RAFS_NO_BLOB`, `RAFS_BAD_CHUNK`, `RAFS_WRONG_CONTENT`, `RAFS_UNSUPPORTED`
   */
  read(chunk: Chunk, digest: () => Flow<Uint8Array | undefined>): Awaitable<Uint8Array> {
    return this.#cached(`${this.#blob.index}/${chunk.index}`, () => this.#verified(chunk, digest));
  }

  #cached(key: string, load: () => Flow<Uint8Array>): Awaitable<Uint8Array> {
    return this.#cache.get(key) ?? this.#cache.make(key, true, () => flow(load));
  }

  *#verified(chunk: Chunk, digest: () => Flow<Uint8Array | undefined>): Flow<Uint8Array> {
    const bytes = yield* this.#decoded(chunk);
    const wanted = yield* digest();
    if (wanted === undefined) {
      if (chunk.crc32 === undefined || crc32c(bytes) === chunk.crc32) return bytes;
      this.#forgetPart(chunk);
      throw this.#wrong(chunk, 'its checksum is another');
    }
    const met = yield* wait(this.#codecs.hashes[this.#blob.digester](bytes));
    if (sameBytes(met, wanted)) return bytes;
    this.#forgetPart(chunk);
    throw this.#wrong(chunk, `its digest is ${toHex(met)} instead of ${toHex(wanted)}`);
  }

  *#decoded(chunk: Chunk): Flow<Uint8Array> {
    const { part, size, compressedOffset, compressedSize } = chunk;
    if (size < 1 || size > CHUNK_SIZE_MAX) throw this.#bad(chunk, `it has ${size} bytes`);
    if (part !== undefined) return yield* this.#partOf(chunk, part);
    const stored = yield* this.#stored(chunk, compressedOffset, compressedSize);
    if (chunk.compressed) return this.#decode(chunk, stored, size);
    if (stored.length === size) return new Uint8Array(stored);
    throw this.#bad(chunk, `it has ${stored.length} bytes, not ${size}`);
  }

  *#partOf(chunk: Chunk, part: ChunkPart): Flow<Uint8Array> {
    const whole = yield* wait(this.#cached(this.#keyOf(part), () => this.#whole(chunk, part)));
    const end = part.offset + chunk.size;
    if (end <= whole.length) return whole.subarray(part.offset, end);
    throw this.#bad(chunk, `it ends outside the ${whole.length} bytes of its ${part.kind}`);
  }

  #keyOf({ kind, index }: ChunkPart): string {
    return `${this.#blob.index}/${kind}/${index}`;
  }

  /** What a wrong chunk was cut from is verified by nothing else: it must not stay. */
  #forgetPart({ part }: Chunk): void {
    if (part) this.#cache.drop(this.#keyOf(part));
  }

  /** What several chunks are decoded as. */
  *#whole(chunk: Chunk, { kind, index }: ChunkPart): Flow<Uint8Array> {
    return kind === 'batch' ? yield* this.#batch(chunk, index) : yield* this.#span(chunk, index);
  }

  *#batch(chunk: Chunk, index: number): Flow<Uint8Array> {
    const { compressedSize, uncompressedSize } = yield* this.#storage.batch(index);
    if (uncompressedSize > CHUNK_SIZE_MAX) {
      throw this.#bad(chunk, `its batch has ${uncompressedSize} bytes`);
    }
    const stored = yield* this.#stored(chunk, chunk.compressedOffset, compressedSize);
    // A batch that would not shrink is stored as it is, which only its size tells.
    if (stored.length === uncompressedSize) return new Uint8Array(stored);
    return this.#decode(chunk, stored, uncompressedSize);
  }

  /** What a gzip stream gives from a checkpoint to the next. */
  *#span(chunk: Chunk, index: number): Flow<Uint8Array> {
    const { inOffset, inSize, outSize, byte, bits, window } =
      yield* this.#storage.checkpoint(index);
    if (outSize > SPAN_MAX || bits > 7 || window.length > INFLATE_WINDOW) {
      throw this.#bad(chunk, `its checkpoint stands before ${outSize} bytes`);
    }
    const stored = yield* this.#stored(chunk, inOffset, inSize);
    this.#gunzip ??= new GunzipStream();
    try {
      return inflated(
        this.#gunzip,
        stored,
        { hold: bits > 0 ? byte >> (8 - bits) : 0, bits, window },
        outSize,
      );
    } catch (cause) {
      throw this.#wrong(chunk, 'it does not inflate', cause);
    }
  }

  *#stored(chunk: Chunk, offset: number, size: number): Flow<Uint8Array> {
    const source = yield* wait(this.#storage.data());
    // Neither compression nor encryption is kept where it makes much more of it.
    if (size > CHUNK_SIZE_MAX + 4096) throw this.#bad(chunk, `it takes ${size} bytes of the blob`);
    if (offset + size > source.size) {
      throw this.#bad(chunk, `it ends outside the ${source.size} bytes there are`);
    }
    const stored = yield* wait(source.read(offset, size));
    return chunk.encrypted ? decrypted(stored, this.#blob, this.#codecs) : stored;
  }

  #decode(chunk: Chunk, stored: Uint8Array, size: number): Uint8Array {
    const { compressor } = this.#blob;
    if (compressor === 'none') throw this.#bad(chunk, 'it is compressed in a blob that is not');
    const output = new Uint8Array(size);
    try {
      this.#codecs.decoders[compressor](stored, output);
    } catch (cause) {
      throw this.#wrong(chunk, `it does not decode as ${compressor}`, cause);
    }
    return output;
  }

  #bad({ index }: Chunk, reason: string): RafsError {
    const { id } = this.#blob;
    return damaged('RAFS_BAD_CHUNK', `Cannot read chunk ${index} of ${id}: ${reason}`, {
      blob: id,
      index,
    });
  }

  #wrong({ index }: Chunk, reason: string, cause?: unknown): RafsError {
    const { id } = this.#blob;
    const message = `Cannot read chunk ${index} of ${id}: ${reason}`;
    return new RafsError('RAFS_WRONG_CONTENT', message, {
      details: { blob: id, index },
      ...(cause !== undefined && { cause }),
      hint: 'the blob is damaged or another one: make or fetch it again',
    });
  }
}

function inflated(
  gunzip: GunzipStream,
  stored: Uint8Array,
  from: InflateStart,
  size: number,
): Uint8Array {
  gunzip.start(from);
  gunzip.write(stored);
  const out = new Uint8Array(size);
  for (let at = 0; at < size; ) {
    const piece = gunzip.read().subarray(0, size - at);
    if (piece.length === 0) throw damaged('RAFS_WRONG_CONTENT', `It ends after ${at} bytes`);
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}
