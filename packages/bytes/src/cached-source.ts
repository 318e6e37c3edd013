import { type Awaitable, abortable, isPromise } from './awaitable.ts';
import { BytesBudget, type Kept } from './bytes-cache.ts';
import { checkRange, type ReadOptions, type Source } from './source.ts';

export interface CacheOptions {
  /** Bytes to keep in memory, or what is shared. Default 16 MiB; what is being read comes on top. */
  readonly cacheSize?: number | BytesBudget;
  /** Least bytes read at once, and unit of what is kept: a power of two. Default 4096. */
  readonly pageSize?: number;
  /** Bytes to read ahead of whoever reads on, at most. Default 0. */
  readonly readAhead?: number;
  /** Two reads are made one where at most so many bytes lie between. Default 16 KiB. */
  readonly gap?: number;
}

/** Most bytes read at once. */
const RUN = 4 * 1024 * 1024;
/** Readers that go on, each at its own place, whose places are remembered. */
const STREAMS = 8;

/**
 * A cache in front of a Source that is far away: a blob behind a network. Reads of one turn of the
 * event loop are gathered and merged, several readers of one page share it, and what is there is
 * answered at once. Results may alias the cache.
 *
 * @example
 * const near = cachedSource(far, { cacheSize: 64 * 1024 * 1024, readAhead: 1024 * 1024 });
 */
export function cachedSource(inner: Source, options: CacheOptions = {}): Source {
  return new CachedSource(inner, options);
}

/** A reader that goes on where it was. */
interface Stream {
  next: number;
  streak: number;
}

class CachedSource implements Source {
  readonly size: number;
  readonly #inner: Source;
  readonly #pageSize: number;
  readonly #budget: BytesBudget;
  readonly #readAhead: number;
  readonly #gapPages: number;
  readonly #pages = new Map<number, Kept>();
  readonly #coming = new Map<number, Promise<Uint8Array>>();
  readonly #streams: Stream[] = [];
  #wanted: Wanted[] = [];

  constructor(inner: Source, options: CacheOptions) {
    const { cacheSize = 16 * 1024 * 1024, pageSize = 4096, readAhead = 0, gap = 16_384 } = options;
    this.size = inner.size;
    this.#inner = inner;
    this.#pageSize = pageSize;
    this.#budget = typeof cacheSize === 'number' ? new BytesBudget(cacheSize) : cacheSize;
    this.#readAhead = readAhead;
    this.#gapPages = Math.floor(gap / pageSize);
  }

  read(offset: number, length: number, options: ReadOptions = {}): Awaitable<Uint8Array> {
    checkRange(offset, length, this.size);
    options.signal?.throwIfAborted();
    if (length === 0) return new Uint8Array(0);
    const first = Math.floor(offset / this.#pageSize);
    const last = Math.floor((offset + length - 1) / this.#pageSize);
    const parts: Awaitable<Uint8Array>[] = [];
    for (let page = first; page <= last; page++) parts.push(this.#page(page));
    if (this.#readAhead > 0) this.#goOn(offset, length, last);
    const from = offset - first * this.#pageSize;
    if (!parts.some(isPromise)) return join(parts as Uint8Array[], from, length);
    const all = Promise.all(parts).then((pages) => join(pages, from, length));
    return options.signal ? abortable(all, options.signal) : all;
  }

  close(): Awaitable<void> {
    for (const piece of this.#pages.values()) this.#budget.forget(piece);
    this.#pages.clear();
    return this.#inner.close?.();
  }

  #page(page: number): Awaitable<Uint8Array> {
    const kept = this.#pages.get(page);
    if (kept === undefined) return this.#coming.get(page) ?? this.#want(page);
    this.#budget.use(kept);
    return kept.bytes;
  }

  #want(page: number): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    // Nobody may wait for what is read ahead.
    promise.catch(() => undefined);
    if (this.#wanted.length === 0) queueMicrotask(() => this.#flush());
    this.#wanted.push({ page, resolve, reject });
    this.#coming.set(page, promise);
    return promise;
  }

  /** Reads what was asked for since the last time, in as few parts as make sense. */
  #flush(): void {
    const wanted = this.#wanted.sort((a, b) => a.page - b.page);
    this.#wanted = [];
    let run: Wanted[] = [];
    for (const next of wanted) {
      const first = run[0];
      const last = run.at(-1);
      const isNear = last !== undefined && next.page - last.page <= this.#gapPages + 1;
      const fits = first !== undefined && (next.page - first.page + 1) * this.#pageSize <= RUN;
      if (run.length > 0 && !(isNear && fits)) {
        void this.#load(run);
        run = [];
      }
      run.push(next);
    }
    if (run.length > 0) void this.#load(run);
  }

  async #load(run: readonly Wanted[]): Promise<void> {
    const first = run[0]!.page;
    const start = first * this.#pageSize;
    const end = Math.min(this.size, (run.at(-1)!.page + 1) * this.#pageSize);
    try {
      const bytes = await this.#inner.read(start, end - start);
      for (const { page, resolve } of run) {
        const from = (page - first) * this.#pageSize;
        // A copy, so that one page does not hold the memory of all.
        const part = new Uint8Array(bytes.subarray(from, from + this.#pageSize));
        this.#coming.delete(page);
        this.#keep(page, part);
        resolve(part);
      }
    } catch (error) {
      for (const { page, reject } of run) {
        this.#coming.delete(page);
        reject(error);
      }
    }
  }

  #keep(page: number, bytes: Uint8Array): void {
    const piece: Kept = { bytes, drop: () => void this.#pages.delete(page) };
    this.#pages.set(page, piece);
    this.#budget.keep(piece);
  }

  /** Asks for what a reader that goes on will want: as much as it has read so far, to the bound. */
  #goOn(offset: number, length: number, last: number): void {
    const at = this.#streams.findIndex(({ next }) => next === offset);
    const stream = at < 0 ? { next: 0, streak: 0 } : this.#streams.splice(at, 1)[0]!;
    stream.next = offset + length;
    stream.streak = at < 0 ? 0 : stream.streak + length;
    this.#streams.push(stream);
    if (this.#streams.length > STREAMS) this.#streams.shift();
    const ahead = Math.floor(Math.min(stream.streak, this.#readAhead) / this.#pageSize);
    const end = Math.min(last + ahead, Math.ceil(this.size / this.#pageSize) - 1);
    // In large steps: not a page for each page that is read.
    const middle = last + Math.ceil(ahead / 2);
    if (ahead === 0 || middle > end || this.#has(middle)) return;
    for (let page = last + 1; page <= end; page++) if (!this.#has(page)) this.#want(page);
  }

  #has(page: number): boolean {
    return this.#pages.has(page) || this.#coming.has(page);
  }
}

interface Wanted {
  readonly page: number;
  resolve(bytes: Uint8Array): void;
  reject(error: unknown): void;
}

/** `length` bytes from byte `from` of the first page on. */
function join(pages: readonly Uint8Array[], from: number, length: number): Uint8Array {
  if (pages.length === 1) return pages[0]!.subarray(from, from + length);
  const out = new Uint8Array(length);
  let done = 0;
  for (const [index, page] of pages.entries()) {
    const part = page.subarray(index === 0 ? from : 0, (index === 0 ? from : 0) + length - done);
    out.set(part, done);
    done += part.length;
  }
  return out;
}
