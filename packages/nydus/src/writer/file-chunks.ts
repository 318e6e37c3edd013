import type { CallOptions } from '@anole/bytes';
import type { BlobFile } from './blob-of-files.ts';
import type { BlobWriter } from './blob-writer.ts';
import { chunkKey, type StoredChunk } from './chunks.ts';
import type { Settings } from './options.ts';
import { changed } from './scan.ts';

/** Stores the data of files: each chunk once, and none that the dictionary has. */
export class FileChunks {
  readonly #settings: Settings;
  readonly #blob: BlobWriter;
  readonly #known = new Map<string, StoredChunk>();
  #memory = new Uint8Array(0);

  constructor(settings: Settings, blob: BlobWriter) {
    this.#settings = settings;
    this.#blob = blob;
  }

  /** @throws RafsError `RAFS_SOURCE_CHANGED`; what the tree and the sink raise */
  async store(file: BlobFile, { signal }: CallOptions): Promise<readonly StoredChunk[]> {
    const { chunkSize, batchSize } = this.#settings;
    const { size } = file;
    const batched = size <= chunkSize && size < batchSize / 2;
    const chunks: StoredChunk[] = [];
    for (let offset = 0; offset < size; offset += chunkSize) {
      signal?.throwIfAborted();
      const length = Math.min(chunkSize, size - offset);
      chunks.push(await this.#chunk(await this.#read(file, offset, length), batched));
    }
    return chunks;
  }

  async #chunk(bytes: Uint8Array, batched: boolean): Promise<StoredChunk> {
    const { encoders, digester, dictionary } = this.#settings;
    const digest = encoders.hash[digester](bytes);
    const key = chunkKey(digest, bytes.length);
    const known = dictionary?.find(digest, bytes.length) ?? this.#known.get(key);
    if (known !== undefined) return known;
    const stored = await this.#blob.add(bytes, digest, batched);
    this.#known.set(key, stored);
    return stored;
  }

  /** Bytes that are valid until the next are read. */
  async #read(file: BlobFile, offset: number, length: number): Promise<Uint8Array> {
    if (file.readInto === undefined) return readExactly(file, offset, length);
    if (this.#memory.length < length) this.#memory = new Uint8Array(this.#settings.chunkSize);
    const target = this.#memory.subarray(0, length);
    const count = await file.readInto(offset, target);
    if (count < length) throw changed(file.path, `it ends after ${offset + count} bytes`);
    return target;
  }
}

async function readExactly(file: BlobFile, offset: number, length: number): Promise<Uint8Array> {
  const first = await file.read(offset, length);
  if (first.length === length) return first;
  const bytes = new Uint8Array(length);
  bytes.set(first);
  for (let done = first.length; done < length; ) {
    const more = await file.read(offset + done, length - done);
    if (more.length === 0) throw changed(file.path, `it ends after ${offset + done} bytes`);
    bytes.set(more, done);
    done += more.length;
  }
  return bytes;
}
