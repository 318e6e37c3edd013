import { join } from 'node:path';
import type { Awaitable } from '@anole/bytes';
import { hostError, systemCode } from '@anole/host';
import { BlobFile } from './blob-file.ts';
import type { Chunks } from './chunks.ts';
import { Homeless } from './homeless.ts';
import { chunkStates, Presence } from './presence.ts';
import type { RemoteBlob } from './remote-blob.ts';
import { Seals } from './seals.ts';
import type { BlobWatcher } from './surroundings.ts';

/**
 * What is here of a blob: chunks in a sparse file, which are proven before their first use and known again at each, and
 * those in memory that the disk did not take.
 */
export class KeptChunks {
  readonly file: BlobFile;
  watcher: BlobWatcher | undefined;
  readonly #chunks: Chunks;
  readonly #presence: Presence;
  readonly #seals: Seals | undefined;
  readonly #homeless = new Homeless();

  /** Takes over the file's descriptor if given. @throws HostError */
  constructor({ chunks, verify }: RemoteBlob, directory: string, descriptor?: number) {
    this.#chunks = chunks;
    this.#presence = Presence.open(join(directory, 'map'), chunks.count);
    try {
      this.#seals = verify ? undefined : Seals.open(join(directory, 'seals'), chunks);
      this.file = new BlobFile(join(directory, 'data'), chunks, descriptor);
    } catch (error) {
      this.#presence.close();
      this.#seals?.close();
      throw error;
    }
  }

  /** Whether all chunks of a range are at least in a state. */
  reaches(offset: number, length: number, state: number): boolean {
    if (length === 0) return true;
    const last = this.#chunks.indexAt(offset + length - 1);
    return this.#presence.firstBelow(this.#chunks.indexAt(offset), last + 1, state) > last;
  }

  /** Where the bytes end that the file has from `offset` on, proven, without a gap; `end` at most. */
  heldUntil(offset: number, end: number): number {
    if (offset >= end) return end;
    const last = this.#chunks.indexAt(end - 1) + 1;
    const first = this.#presence.firstBelow(this.#chunks.indexAt(offset), last, chunkStates.proven);
    return Math.max(offset, Math.min(end, this.#chunks.offsetOf(first)));
  }

  /** Bytes that are in the file, proven or not. */
  get present(): number {
    return this.#presence.bytesOf(this.#chunks);
  }

  /** Whether the file has all bytes, proven. */
  get isProven(): boolean {
    return this.#presence.isProven;
  }

  /** Whether a chunk can be read: the file has it, proven, or memory. */
  isAtHand(index: number): boolean {
    return this.stateOf(index) === chunkStates.proven || this.#homeless.has(index);
  }

  stateOf(index: number): number {
    return this.#presence.states[index]!;
  }

  /** Looks whether another process has put a chunk in the meantime. */
  refresh(index: number): void {
    this.#presence.refresh(index);
  }

  /** Chunks that found no place on the disk, those that memory has let go of included. */
  get homeless(): readonly number[] {
    return this.#homeless.indexes;
  }

  /** Whether memory has no chunks. */
  get areAllInFile(): boolean {
    return this.#homeless.isEmpty;
  }

  /** What memory has of a chunk. It stays here. */
  inMemory(index: number): Uint8Array | undefined {
    return this.#homeless.get(index);
  }

  /**
   * Whether the file has a chunk as it must be, which is proven then; absent by now, if not.
   *
   * @param remote tells, where the blob has digests of its own
   */
  async prove(index: number, remote: RemoteBlob): Promise<boolean> {
    const bytes = this.file.chunk(index);
    if (bytes && (await this.#isRight(index, bytes, remote))) {
      this.file.proven(index, bytes);
      this.#presence.states[index] = chunkStates.proven;
      this.#grown();
      return true;
    }
    this.#presence.drop(index);
    return false;
  }

  #isRight(index: number, bytes: Uint8Array, remote: RemoteBlob): Awaitable<boolean> {
    return this.#seals?.holds(index, bytes) ?? remote.verify?.(index, bytes) ?? false;
  }

  /** Puts chunks [first, end), which are right, into the file. Gives why not, where the disk does not take them. */
  store(first: number, end: number, bytes: Uint8Array): unknown {
    try {
      this.file.write(first, end, bytes);
      this.#seals?.put(first, end, bytes);
      this.#presence.put(first, end);
      this.#homeless.settled(first, end);
    } catch (error) {
      if (systemCode(error) === 'EBADF') throw hostError(error, `write ${this.file.path}`);
      return error;
    }
    this.#grown();
    return undefined;
  }

  /** Keeps chunks in memory that the disk does not take. */
  shelter(first: number, end: number, bytes: Uint8Array): void {
    const base = this.#chunks.offsetOf(first);
    for (let index = first; index < end; index++) {
      const from = this.#chunks.offsetOf(index) - base;
      this.#homeless.keep(index, bytes.slice(from, this.#chunks.offsetOf(index + 1) - base));
    }
  }

  /** Puts chunks [first, end) into the file, if it takes them by now, that found no place there. */
  settle(first: number, end: number): void {
    for (const [index, bytes] of this.#homeless.take(first, end)) {
      if (this.store(index, index + 1, bytes) !== undefined) this.shelter(index, index + 1, bytes);
    }
  }

  /** Fills `target` from the file. False where that is not what was proven: then it has to be proven again. */
  take(target: Uint8Array, offset: number): boolean {
    const wrong = this.file.read(offset, target);
    for (const index of wrong) {
      this.#presence.doubt(index);
      this.watcher?.lost(this.#chunks.offsetOf(index), this.#chunks.offsetOf(index + 1));
    }
    return wrong.length === 0;
  }

  /** Takes all for wrong. @throws HostError */
  forget(): void {
    this.watcher?.lost(0, this.#chunks.size);
    this.#presence.clear();
    this.#homeless.clear();
  }

  close(): void {
    this.file.close();
    this.#presence.close();
    this.#seals?.close();
  }

  #grown(): void {
    if (this.isProven) this.watcher?.whole();
  }
}
