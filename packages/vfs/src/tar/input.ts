import { type Awaitable, chain, type Source } from '@anole/bytes';
import { TarError } from './errors.ts';

/** Bytes read one after another, with skipping. What the reader stands on. */
export interface TarInput {
  /** Bytes taken or skipped so far. */
  readonly position: number;
  /** The Source below, where there is one: bodies can then be read later. */
  readonly source?: Source;
  /** Whether what `some` gives may be overwritten by what comes next. */
  readonly lent: boolean;
  /** Exactly `length` bytes, or undefined at the very end. May alias the input. */
  take(length: number): Awaitable<Uint8Array | undefined>;
  /** Between 1 and `limit` bytes, however they come; undefined at the end. May alias the input. */
  some(limit: number): Awaitable<Uint8Array | undefined>;
  /** Passes over `length` bytes, which must be there, and over `padding` more unless the input ends. */
  skip(length: number, padding?: number): Awaitable<void>;
  /** Reads to the end, so that whatever makes the stream may check its own trailer. */
  drain(): Awaitable<void>;
  close(): Promise<void>;
}

/** @param lent whether a stream's chunks are valid until the next one only: what is taken is then copied */
export function openInput(from: AsyncIterable<Uint8Array> | Source, lent: boolean): TarInput {
  return Symbol.asyncIterator in from ? new StreamInput(from, lent) : new SourceInput(from);
}

function truncated(position: number): TarError {
  return new TarError('TAR_TRUNCATED', `Cannot read the tar: it ends at byte ${position}`, {
    details: { position },
    hint: 'The archive is cut short; fetch it again.',
  });
}

class StreamInput implements TarInput {
  position = 0;
  private readonly chunks: AsyncIterator<Uint8Array>;
  private current: Uint8Array = new Uint8Array(0);
  private at = 0;
  private ended = false;
  readonly lent: boolean;

  constructor(from: AsyncIterable<Uint8Array>, lent: boolean) {
    this.lent = lent;
    this.chunks = from[Symbol.asyncIterator]();
  }

  take(length: number): Awaitable<Uint8Array | undefined> {
    const end = this.at + length;
    if (end > this.current.length) return this.gather(length);
    const bytes = this.next(length);
    return this.lent ? new Uint8Array(bytes) : bytes;
  }

  some(limit: number): Awaitable<Uint8Array | undefined> {
    const there = this.current.length - this.at;
    if (there > 0) return this.next(Math.min(limit, there));
    return this.more().then((more) => (more ? this.some(limit) : undefined));
  }

  skip(length: number, padding = 0): Awaitable<void> {
    const there = this.current.length - this.at;
    const all = length + padding;
    const step = Math.min(there, all);
    this.at += step;
    this.position += step;
    if (step < all) return this.skipOn(all - step, padding);
  }

  async drain(): Promise<void> {
    while (await this.more());
  }

  async close(): Promise<void> {
    if (!this.ended) await this.chunks.return?.();
    this.ended = true;
  }

  private async skipOn(length: number, padding: number): Promise<void> {
    let left = length;
    while (left > 0) {
      if (!(await this.more())) {
        if (left <= padding) return;
        throw truncated(this.position);
      }
      const step = Math.min(this.current.length, left);
      this.at = step;
      this.position += step;
      left -= step;
    }
  }

  /** Bytes that lie in the current chunk. */
  private next(length: number): Uint8Array {
    const bytes = this.current.subarray(this.at, this.at + length);
    this.at += length;
    this.position += length;
    return bytes;
  }

  /** Bytes that lie in more than one chunk. Memory grows with what comes, not with `length`. */
  private async gather(length: number): Promise<Uint8Array | undefined> {
    const parts: Uint8Array[] = [];
    let have = 0;
    while (have < length) {
      const part = await this.some(length - have);
      if (part === undefined) {
        if (have === 0) return undefined;
        throw truncated(this.position);
      }
      parts.push(this.lent ? new Uint8Array(part) : part);
      have += part.length;
    }
    return parts.length === 1 ? parts[0]! : concatenate(parts, have);
  }

  private async more(): Promise<boolean> {
    while (!this.ended) {
      const next = await this.chunks.next();
      if (next.done) this.ended = true;
      else if (next.value.length > 0) {
        this.current = next.value;
        this.at = 0;
        return true;
      }
    }
    this.current = new Uint8Array(0);
    this.at = 0;
    return false;
  }
}

/** Bytes read at once from a Source when the caller takes whatever comes. */
const READ_SIZE = 256 * 1024;
/** Bytes read ahead for headers: archives of small files are then not read block by block. */
const READ_AHEAD = 16 * 1024;

class SourceInput implements TarInput {
  position = 0;
  readonly source: Source;
  readonly lent = true;
  private window: Uint8Array = new Uint8Array(0);
  private windowAt = 0;

  constructor(source: Source) {
    this.source = source;
  }

  take(length: number): Awaitable<Uint8Array | undefined> {
    const start = this.position;
    const left = this.source.size - start;
    if (left <= 0) return undefined;
    if (left < length) throw truncated(this.source.size);
    this.position += length;
    const inside = start - this.windowAt;
    if (inside >= 0 && inside + length <= this.window.length) {
      return this.window.subarray(inside, inside + length);
    }
    return chain(this.source.read(start, Math.min(left, Math.max(length, READ_AHEAD))), (bytes) => {
      // A Source may reuse its memory at the next read, and others may read it in between.
      // Not slice(): of a Node Buffer that copies nothing.
      this.window = new Uint8Array(bytes);
      this.windowAt = start;
      return this.window.subarray(0, length);
    });
  }

  some(limit: number): Awaitable<Uint8Array | undefined> {
    const length = Math.min(limit, READ_SIZE, this.source.size - this.position);
    if (length <= 0) return undefined;
    const start = this.position;
    this.position += length;
    return this.source.read(start, length);
  }

  skip(length: number, padding = 0): void {
    const { size } = this.source;
    if (this.position + length > size) throw truncated(size);
    this.position = Math.min(this.position + length + padding, size);
  }

  drain(): void {}

  async close(): Promise<void> {}
}

export function concatenate(parts: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
