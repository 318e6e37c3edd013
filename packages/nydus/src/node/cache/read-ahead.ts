import type { Chunks } from './chunks.ts';
import type { ByteRange } from './ranges.ts';

/** Bytes asked for behind those that a reader waits for: a kernel asks for what it reads at once in pieces. */
const BEHIND = 128 * 1024;
/** Blocks of the blob that may be brought whole: the least and the largest. */
const LEAST = 512 * 1024;
const MOST = 1024 * 1024;
/** They are when so much of them has been asked for, by reads at so many places: one file alone is not enough. */
const PART = 0.3;
const PLACES = 2;
/** Readers that go on, each at its own place, whose places are remembered. */
const STREAMS = 16;
/** Bytes that a reader may leave out and still goes on. */
const GAP = 64 * 1024;
/** Bytes after which a reader is believed to go on. */
const STEADY = 512 * 1024;
/** Bytes ahead of such a reader at most. */
const WINDOW = 2 * 1024 * 1024;

interface Stream {
  end: number;
  /** Bytes from where it began. */
  run: number;
  /** Up to here something has been asked for. */
  asked: number;
}

/**
 * Says what readers who wait will want next. Each wait is a round trip, so it is worth some bytes that nobody
 * wants; but no more than as many as somebody does: what is asked for grows with what was.
 */
export class ReadAhead {
  readonly #chunks: Chunks;
  readonly #isAsked: (chunk: number) => boolean;
  readonly #streams: Stream[] = [];
  /** Of the least blocks, by their numbers: at how many places readers began there. */
  readonly #places = new Map<number, number>();

  /** @param isAsked whether a chunk is here, or on its way */
  constructor(chunks: Chunks, isAsked: (chunk: number) => boolean) {
    this.#chunks = chunks;
    this.#isAsked = isAsked;
  }

  /**
   * Ranges to ask for after a read that waits for something from afar. Each is to be asked for before the next
   * is taken.
   *
   * @param isNew whether nobody had asked for all of it before
   */
  *behind(offset: number, length: number, isNew: boolean): Generator<ByteRange> {
    const { size } = this.#chunks;
    const end = offset + length;
    let reach = end;
    // Large chunks bring what is round a read by themselves.
    if (isNew && this.#chunkSizeAt(offset) < LEAST) {
      reach = Math.min(end + BEHIND, size);
      if (end < reach) yield [end, reach];
      this.#notePlace(offset);
      const block = this.#blockAround(offset);
      if (block) yield block;
      reach = Math.max(reach, block?.[1] ?? 0);
    }
    const [from, to] = this.#streamAt(offset, end, reach);
    if (from < Math.min(to, size)) yield [from, Math.min(to, size)];
  }

  /**
   * What to ask for ahead of a reader that goes on: half of what it has read. Empty where there is none.
   *
   * @param reach up to where it has been asked for by now
   */
  #streamAt(offset: number, end: number, reach: number): ByteRange {
    // What has been asked for may come before it is read: then nobody waited, and nothing was noted here.
    const at = this.#streams.findIndex(
      (each) => offset >= each.end - GAP && offset <= each.asked + GAP,
    );
    const stream = this.#streams.splice(at, at < 0 ? 0 : 1)[0] ?? { end, run: 0, asked: reach };
    stream.run += Math.max(0, end - stream.end);
    stream.end = Math.max(stream.end, end);
    stream.asked = Math.max(stream.asked, reach);
    this.#streams.push(stream);
    if (this.#streams.length > STREAMS) this.#streams.shift();
    const window = Math.min(WINDOW, stream.run / 2);
    const from = stream.asked;
    // In large steps: not a piece for each piece that is read.
    if (stream.run < STEADY || from - stream.end > window / 2) return [from, from];
    stream.asked = stream.end + window;
    return [from, stream.asked];
  }

  /**
   * The largest block of which enough has been asked for: who reads here and there in a region will read more
   * of it.
   */
  #blockAround(offset: number): ByteRange | undefined {
    let found: ByteRange | undefined;
    for (let size = LEAST; size <= MOST; size *= 2) {
      const start = Math.floor(offset / size) * size;
      const end = Math.min(start + size, this.#chunks.size);
      if (this.#placesIn(start, size) < PLACES) continue;
      if (this.#askedOf(start, end) >= PART * (end - start)) found = [start, end];
    }
    return found;
  }

  #notePlace(offset: number): void {
    const chunk = this.#chunks.indexAt(offset);
    if (chunk > 0 && this.#isAsked(chunk - 1)) return;
    const block = Math.floor(offset / LEAST);
    this.#places.set(block, (this.#places.get(block) ?? 0) + 1);
  }

  #placesIn(start: number, size: number): number {
    let places = 0;
    for (let block = start / LEAST; block < (start + size) / LEAST; block++) {
      places += this.#places.get(block) ?? 0;
    }
    return places;
  }

  #chunkSizeAt(offset: number): number {
    const index = this.#chunks.indexAt(offset);
    return this.#chunks.offsetOf(index + 1) - this.#chunks.offsetOf(index);
  }

  #askedOf(start: number, end: number): number {
    const last = this.#chunks.indexAt(end - 1);
    let asked = 0;
    for (let index = this.#chunks.indexAt(start); index <= last; index++) {
      if (!this.#isAsked(index)) continue;
      const from = Math.max(start, this.#chunks.offsetOf(index));
      asked += Math.min(end, this.#chunks.offsetOf(index + 1)) - from;
    }
    return asked;
  }
}
