import { type Awaitable, abortable, checkRange, type ReadOptions, type Source } from '@anole/bytes';
import { HostError, type Lock } from '@anole/host';
import { AHEAD_RUN, AheadOfReaders } from './ahead.ts';
import type { Chunks } from './chunks.ts';
import { KeptChunks } from './kept-chunks.ts';
import { chunkStates } from './presence.ts';
import { FetchQueue, type Urgency } from './queue.ts';
import type { ByteRange } from './ranges.ts';
import { type BlobCounters, fetchAnyhow, type RemoteBlob } from './remote-blob.ts';
import { type BlobSurroundings, type BlobWatcher, isFull } from './surroundings.ts';

/** What was begun for a reader. */
interface Begun {
  /** What has to be waited for. */
  readonly waits: ReadonlySet<Promise<void>>;
  /** Whether some of it comes from afar, and whether nobody had asked for some of that before. */
  readonly isFar: boolean;
  readonly isNew: boolean;
}

/** Bytes fetched at once. */
const RUN = 1024 * 1024;
/** Fetches of one blob at once. */
const FETCHES = 8;
/** Times that a chunk of the file may turn out wrong while one reader waits for it. */
const MOST_DAMAGES = 3;

/**
 * A blob in front of which a sparse file of this computer lies. Each chunk is fetched once, whoever
 * asks how often; what is in the file is proven before its first use, known again at each, and fetched
 * again where it is wrong. Where the disk is full, reading goes on from memory. Results of `read` are the caller's.
 */
export class CachedBlob implements Source {
  readonly size: number;
  readonly chunks: Chunks;
  readonly counters: BlobCounters = { fetched: 0, fetches: 0, damaged: 0, unstored: 0 };
  #remote: RemoteBlob;
  readonly #around: BlobSurroundings;
  readonly #kept: KeptChunks;
  readonly #lock: Lock;
  readonly #coming = new Map<number, Promise<void>>();
  readonly #queue: FetchQueue;
  readonly #ahead: AheadOfReaders;
  readonly #closing = new AbortController();

  /** Takes over the lock, and the file's descriptor if given. For {@link BlobCache}. @throws HostError */
  constructor(remote: RemoteBlob, directory: string, lock: Lock, around: BlobSurroundings) {
    this.#remote = remote;
    this.#lock = lock;
    this.#around = around;
    this.chunks = remote.chunks;
    this.size = remote.chunks.size;
    this.#queue = new FetchQueue(FETCHES, around.readers, around.pace);
    this.#ahead = new AheadOfReaders(this.chunks, this.#queue, {
      aheadRun: remote.aheadRun ?? AHEAD_RUN,
      isAtHand: (index) => this.#kept.isAtHand(index),
      isAsked: (index) => this.#kept.isAtHand(index) || this.#coming.has(index),
      begin: ([start, end], urgency) => this.#begin(start, end - start, urgency).waits,
    });
    this.#kept = new KeptChunks(remote, directory, around.descriptor);
  }

  /** The file: as large as the blob, with holes. */
  get path(): string {
    return this.#kept.file.path;
  }

  /** Its descriptor, for those who pass it on. */
  get fd(): number {
    return this.#kept.file.fd;
  }

  /** Who is told when the file has less, or all. */
  set watcher(watcher: BlobWatcher | undefined) {
    this.#kept.watcher = watcher;
  }

  get id(): string {
    return this.#remote.id;
  }

  /** Whether the file itself has the bytes of a range, proven. */
  holds(offset: number, length: number): boolean {
    return this.#kept.reaches(offset, length, chunkStates.proven);
  }

  /** Where the bytes end that the file has from `offset` on, proven, without a gap; `end` at most. */
  heldUntil(offset: number, end: number): number {
    return this.#kept.heldUntil(offset, end);
  }

  /** Whether the file has the bytes of a range, proven or not. */
  has(offset: number, length: number): boolean {
    return offset + length <= this.size && this.#kept.reaches(offset, length, chunkStates.unproven);
  }

  /** Bytes that are in the file, proven or not. */
  get present(): number {
    return this.#kept.present;
  }

  /** Its directory in the cache, and in it `id`, `data`, `map` and, if it has them, `seals`. */
  get inodes(): number {
    return this.#remote.verify ? 4 : 5;
  }

  /** Whether all bytes are here. */
  get isWhole(): boolean {
    return this.present === this.size;
  }

  /** Chunks that are being fetched. */
  get coming(): number {
    return this.#coming.size;
  }

  /** What is known of the ranges that were foreseen, if any were: whether readers want them, and all have come. */
  get foreseen(): AheadOfReaders['foreseen'] {
    return this.#ahead.foreseen;
  }

  /**
   * Puts all that came into the file, also what the disk did not take then, fetched again where memory has let go of
   * it. Gives whether it is there: not where the disk takes nothing.
   */
  async settle(): Promise<boolean> {
    for (const index of this.#kept.homeless) {
      await this.ensure(this.chunks.offsetOf(index), 1);
      if (this.#kept.inMemory(index)) return false;
    }
    return this.#kept.homeless.length === 0;
  }

  /** Whether the file itself has all bytes, proven: who reads it needs nobody. */
  get isProven(): boolean {
    return this.#kept.isProven;
  }

  read(offset: number, length: number, options: ReadOptions = {}): Awaitable<Uint8Array> {
    checkRange(offset, length, this.size);
    if (length === 0) return new Uint8Array(0);
    const ready = this.ensure(offset, length, options);
    const out = new Uint8Array(length);
    if (ready !== undefined) return ready.then(() => this.#gather(offset, out, options));
    const isThere = this.#kept.areAllInFile && this.#kept.take(out, offset);
    return isThere ? out : this.#gather(offset, out, options);
  }

  /**
   * Makes the bytes of a range be in the file. Undefined where they are, proven; so most callers
   * need not wait.
   */
  ensure(offset: number, length: number, { signal }: ReadOptions = {}): Promise<void> | undefined {
    signal?.throwIfAborted();
    if (length === 0) return undefined;
    if (!this.#kept.areAllInFile) {
      const end = this.chunks.indexAt(offset + length - 1) + 1;
      this.#kept.settle(this.chunks.indexAt(offset), end);
    }
    const urgency = this.#ahead.urgencyOf(offset, length);
    const { waits, isFar, isNew } = this.#begin(offset, length, urgency);
    if (waits.size === 0) return undefined;
    // What is here costs nothing to read, so nobody need be ahead of it.
    if (isFar && !this.#remote.isScattered) this.#ahead.goOn(offset, length, urgency, isNew);
    const all = Promise.all(waits).then(() => undefined);
    return signal ? abortable(all, signal) : all;
  }

  /** Begins to bring a range that somebody will wait for, in pieces, so that they can begin with the first. */
  expect(offset: number, length: number): void {
    const end = offset + length;
    for (let at = offset; at < end; at += AHEAD_RUN) {
      this.#begin(at, Math.min(AHEAD_RUN, end - at), 'demand');
    }
  }

  /**
   * Brings ranges in their order while nobody waits for something else, until all are here, readers turn
   * out to want others, or fetching fails. Foreseeing is no promise: nothing is thrown.
   */
  bringAhead(ranges: readonly ByteRange[]): Promise<void> {
    return this.#ahead.bring(ranges, this.#closing.signal);
  }

  #chunkEnd(end: number): number {
    return this.chunks.offsetOf(this.chunks.indexAt(end - 1) + 1);
  }

  /** Begins to bring what is not at hand of a range. */
  #begin(offset: number, length: number, urgency: Urgency): Begun {
    const first = this.chunks.indexAt(offset);
    const end = this.chunks.indexAt(offset + length - 1) + 1;
    const waits = new Set<Promise<void>>();
    let isFar = false;
    let isNew = false;
    for (let index = first; index < end; index++) {
      if (this.#kept.isAtHand(index)) continue;
      const coming = this.#coming.get(index);
      if (coming === undefined) this.#kept.refresh(index);
      if (this.#kept.stateOf(index) === chunkStates.absent) {
        isFar = true;
        isNew ||= coming === undefined;
      }
      waits.add(coming ?? this.#bring(index, end, urgency));
    }
    return { waits, isFar, isNew };
  }

  /** Whether others have written to the file since {@link looking}. */
  get isChanged(): boolean {
    return !this.isClosed && this.#kept.file.isChanged;
  }

  /** Somebody begins to {@link check} all of it. */
  looking(): void {
    this.#kept.file.looking();
  }

  /**
   * Whether what was proven of a range, in one chunk, still is what the file has. Where not, `ensure` brings it again.
   *
   * @throws what reading raises
   */
  check(offset: number, length: number): boolean {
    return !this.holds(offset, length) || this.#kept.take(new Uint8Array(length), offset);
  }

  /**
   * Takes what has come for wrong: it is fetched again. Only for blobs whose file nobody but their
   * readers reads.
   */
  forget(): void {
    this.#kept.forget();
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** From now on bytes come from another remote of the same ID, which passes to this. */
  async comeFrom(remote: RemoteBlob): Promise<void> {
    const former = this.#remote;
    this.#remote = remote;
    await former.close?.();
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.#closing.abort(new Error('the cache has been closed'));
    await Promise.allSettled(this.#coming.values());
    this.#kept.close();
    this.#around.onClosing();
    this.#lock.release();
    await this.#remote.close?.();
    await this.#around.onClosed();
  }

  /** Begins to bring chunks from `index` on, before `end`: a run of those that nobody brings yet. */
  #bring(index: number, end: number, urgency: Urgency): Promise<void> {
    const isThere = this.#kept.stateOf(index) === chunkStates.unproven;
    const last = isThere ? index + 1 : this.#runFrom(index, end);
    const brought = isThere ? this.#prove(index, urgency) : this.#fetch(index, last, urgency);
    const done = brought.finally(() => {
      for (let each = index; each < last; each++) this.#coming.delete(each);
    });
    // Nobody may wait for what is fetched ahead.
    done.catch(() => undefined);
    for (let each = index; each < last; each++) this.#coming.set(each, done);
    return done;
  }

  #runFrom(index: number, end: number): number {
    const from = this.chunks.offsetOf(index);
    let last = index + 1;
    for (; last < end && this.chunks.offsetOf(last + 1) - from <= RUN; last++) {
      this.#kept.refresh(last);
      const isAbsent = this.#kept.stateOf(last) === chunkStates.absent;
      if (!isAbsent || this.#coming.has(last) || this.#kept.inMemory(last)) break;
    }
    return last;
  }

  async #prove(index: number, urgency: Urgency): Promise<void> {
    if (await this.#kept.prove(index, this.#remote)) return;
    const offset = this.chunks.offsetOf(index);
    const place = { blob: this.id, offset, length: this.chunks.offsetOf(index + 1) - offset };
    this.counters.damaged++;
    this.#around.events.onDamaged?.(place);
    try {
      await this.#fetch(index, index + 1, urgency);
    } catch (error) {
      if (!this.isClosed) this.#around.events.onUnhealed?.(place, error);
      throw error;
    }
  }

  async #fetch(first: number, end: number, urgency: Urgency): Promise<void> {
    const { signal } = this.#closing;
    const bytes = await this.#queue.run(urgency, async () => {
      signal.throwIfAborted();
      return await fetchAnyhow(this.#remote, first, end, signal);
    });
    this.counters.fetches++;
    this.counters.fetched += bytes.length;
    signal.throwIfAborted();
    let failure = this.#kept.store(first, end, bytes);
    if (isFull(failure) && (await this.#around.freeDisk(bytes.length))) {
      failure = this.#kept.store(first, end, bytes);
    }
    if (failure !== undefined) {
      this.#kept.shelter(first, end, bytes);
      this.counters.unstored += end - first;
    }
    this.#around.onGrown();
  }

  /** Fills `out` chunk by chunk. Those without a place may be gone again: then they come again. */
  async #gather(offset: number, out: Uint8Array, options: ReadOptions): Promise<Uint8Array> {
    const end = offset + out.length;
    for (let at = offset; at < end; ) {
      const stop = Math.min(this.#chunkEnd(at + 1), end);
      await this.#gatherPart(at, out.subarray(at - offset, stop - offset), options);
      at = stop;
    }
    return out;
  }

  /** Fills `part` with bytes of one chunk. */
  async #gatherPart(at: number, part: Uint8Array, options: ReadOptions): Promise<void> {
    const index = this.chunks.indexAt(at);
    for (let damages = 0; damages <= MOST_DAMAGES; damages++) {
      while (!this.#kept.isAtHand(index)) await this.ensure(at, 1, options);
      const kept = this.#kept.inMemory(index);
      const from = at - this.chunks.offsetOf(index);
      if (kept) return part.set(kept.subarray(from, from + part.length));
      if (this.#kept.take(part, at)) return;
    }
    throw new HostError(
      'HOST_WRONG_CONTENT',
      `Cannot read ${this.path}: it does not keep what is written to it`,
      { details: { path: this.path, offset: at, length: part.length } },
    );
  }
}
