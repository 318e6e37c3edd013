/** Readers that go on, each at its own place, whose places are remembered. */
const STREAMS = 16;
/** Bytes that a reader may leave out and still goes on: it jumps over what it has. */
const GAP = 128 * 1024;
/** Bytes asked for ahead of a reader, at least and at most. */
const LEAST = 128 * 1024;
const MOST = 2 * 1024 * 1024;

interface Stream {
  end: number;
  window: number;
  /** Up to here something has been asked for. */
  asked: number;
}

/** Finds readers that go on where they were, and says what they will want. */
export class ReadAhead {
  readonly #streams: Stream[] = [];

  /** The range to ask for after a read; undefined where there is none. */
  next(offset: number, length: number): readonly [start: number, end: number] | undefined {
    const at = this.#streams.findIndex(({ end }) => offset >= end - GAP && offset <= end + GAP);
    const end = offset + length;
    const stream = this.#streams.splice(at, at < 0 ? 0 : 1)[0];
    if (stream === undefined) {
      this.#streams.push({ end, window: LEAST, asked: end });
      if (this.#streams.length > STREAMS) this.#streams.shift();
      return undefined;
    }
    stream.end = Math.max(stream.end, end);
    this.#streams.push(stream);
    // In large steps: not a piece for each piece that is read.
    if (stream.asked - stream.end > stream.window / 2) return undefined;
    const start = Math.max(stream.asked, stream.end);
    stream.asked = stream.end + stream.window;
    stream.window = Math.min(MOST, 2 * stream.window);
    return stream.asked > start ? [start, stream.asked] : undefined;
  }
}
