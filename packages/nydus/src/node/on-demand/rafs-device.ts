import { createHash } from 'node:crypto';
import {
  AnoleError,
  type BytesBudget,
  cachedSource,
  type ReadOptions,
  type Source,
} from '@anole/bytes';
import { RafsError } from '../../errors.ts';
import { blobFeatures } from '../../layout/blob.ts';
import type { RafsBlob } from '../../reader/blob.ts';
import type { Chunk } from '../../reader/chunk.ts';
import type { CachedBlob } from '../cache/blob.ts';
import { chunksAt } from '../cache/chunks.ts';
import type { RemoteBlob } from '../cache/remote-blob.ts';

const PAGE = 64 * 1024;
/** Stored bytes fetched at once. */
const AT_ONCE = 4 * 1024 * 1024;

/** A blob of RAFS where it is stored: its tables are kept, its data pass by. */
export class StoredBlob implements Source {
  readonly size: number;
  readonly #far: Source;
  #near: Source;
  readonly #raw: CachedBlob;
  readonly #tables: number;
  readonly #memory: BytesBudget;

  /**
   * @param tables first byte of the blob's tables
   * @param memory for what was fetched and is about to be decoded
   */
  constructor(far: Source, raw: CachedBlob, tables: number, memory: BytesBudget) {
    this.size = far.size;
    this.#far = far;
    this.#memory = memory;
    this.#near = this.#makeNear();
    this.#raw = raw;
    this.#tables = tables;
  }

  read(offset: number, length: number, options?: ReadOptions) {
    const source = offset >= this.#tables ? this.#raw : this.#near;
    return source.read(offset, length, options);
  }

  /** Takes what has come for wrong. */
  forget(): void {
    this.#near = this.#makeNear();
    this.#raw.forget();
  }

  close() {
    return this.#near.close?.();
  }

  #makeNear(): Source {
    return cachedSource(this.#far, { cacheSize: this.#memory, pageSize: PAGE });
  }
}

/**
 * A blob decoded, as the device of an EROFS image: its chunks are those of RAFS, with what lies between
 * them and the next.
 *
 * @throws RafsError `RAFS_UNSUPPORTED` where nothing verifies a chunk; as reading the blob's tables
 */
export async function rafsDevice(blob: RafsBlob, stored: StoredBlob): Promise<RemoteBlob> {
  if ((blob.info.features & blobFeatures.tarfs) !== 0) throw unverified(blob);
  const offsets: number[] = [];
  const hash = createHash('sha256');
  const table = await blob.chunks();
  for (const chunk of inOrder(table.count, (at) => table.chunk(at))) {
    const digest = await blob.digest(chunk.index);
    if (digest === undefined) throw unverified(blob);
    const { offset, size } = chunk;
    hash.update(`${offset} ${size} `).update(digest);
    offsets.push(offsets.length === 0 ? 0 : offset);
  }
  const chunks = chunksAt(Float64Array.from(offsets), blob.size);
  return {
    // Two bootstraps need not say the same of a blob.
    id: `${blob.info.id} ${hash.digest('hex')}`,
    chunks,
    async fetch(first, end, options) {
      const from = chunks.offsetOf(first);
      const until = chunks.offsetOf(end);
      try {
        await bringStored(blob, stored, from, until, options);
        return new Uint8Array(await blob.read(from, until - from));
      } catch (error) {
        // The chunk may be wrong, or the table that says where it is.
        if (AnoleError.is(error) && error.code === 'RAFS_WRONG_CONTENT') stored.forget();
        throw error;
      }
    },
    close: () => stored.close(),
  };
}

/** Chunks by their places, each place once. */
function inOrder(count: number, chunk: (at: number) => Chunk): readonly Chunk[] {
  return Array.from({ length: count }, (_, at) => chunk(at)).sort((a, b) => a.offset - b.offset);
}

/** Brings what chunks are decoded from in one request, where they lie together. */
async function bringStored(
  blob: RafsBlob,
  stored: StoredBlob,
  from: number,
  until: number,
  options: ReadOptions,
): Promise<void> {
  let [start, end] = [Number.POSITIVE_INFINITY, 0];
  for (let at = from; at < until; ) {
    const chunk = await blob.chunkAt(at);
    if (chunk === undefined || chunk.offset >= until) break;
    at = chunk.offset + chunk.size;
    // Of those that are parts of something, the something says where it is.
    if (chunk.part !== undefined) continue;
    start = Math.min(start, chunk.compressedOffset);
    end = Math.max(end, chunk.compressedOffset + chunk.compressedSize);
  }
  if (end <= start || end - start > AT_ONCE || end > stored.size) return;
  await stored.read(start, end - start, options);
}

function unverified({ info }: RafsBlob): RafsError {
  return new RafsError(
    'RAFS_UNSUPPORTED',
    `Cannot load ${info.id} on demand: nothing verifies its chunks`,
  );
}
