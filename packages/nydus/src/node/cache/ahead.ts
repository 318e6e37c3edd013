import type { Chunks } from './chunks.ts';
import { Foresight } from './foresight.ts';
import type { FetchQueue, Urgency } from './queue.ts';
import type { ByteRange } from './ranges.ts';
import { ReadAhead } from './read-ahead.ts';

/** Fetches ahead of readers at once: enough to fill a link with a delay. */
const LANES = 4;
/** Bytes fetched at once ahead of readers, unless the blob says otherwise: who comes to want them waits for the whole piece. */
export const AHEAD_RUN = 256 * 1024;

/** What is done with a blob ahead of its readers. */
interface Ways {
  /** Bytes fetched at once ahead of readers. */
  readonly aheadRun: number;
  isAtHand(index: number): boolean;
  /** Whether it is, or is on its way. */
  isAsked(index: number): boolean;
  /** Begins to bring a range, and gives what has to be waited for until it is here. */
  begin(range: ByteRange, urgency: Urgency): Iterable<Promise<void>>;
}

/** Brings chunks of a blob before readers ask for them: those that were foreseen, and those behind what is read. */
export class AheadOfReaders {
  readonly #chunks: Chunks;
  readonly #queue: FetchQueue;
  readonly #ways: Ways;
  readonly #readAhead: ReadAhead;
  #foresight: Foresight | undefined;
  #isBringing = false;

  constructor(chunks: Chunks, queue: FetchQueue, ways: Ways) {
    this.#chunks = chunks;
    this.#queue = queue;
    this.#ways = ways;
    this.#readAhead = new ReadAhead(chunks, (index) => ways.isAsked(index));
  }

  /** What is known of the ranges that were foreseen, if any were: whether readers want them, and all have come. */
  get foreseen(): 'none' | 'coming' | 'here' | 'wrong' {
    if (this.#foresight === undefined) return 'none';
    if (!this.#foresight.holds) return 'wrong';
    return this.#isBringing ? 'coming' : 'here';
  }

  /**
   * Brings ranges in their order while nobody waits for something else, until all are here, readers turn
   * out to want others, fetching fails, or a signal comes. Nothing is thrown.
   */
  async bring(ranges: readonly ByteRange[], signal: AbortSignal): Promise<void> {
    const foresight = new Foresight(this.#chunks, ranges);
    this.#foresight = foresight;
    this.#isBringing = true;
    const lane = async () => {
      const { aheadRun } = this.#ways;
      for (let range = foresight.next(aheadRun); range; range = foresight.next(aheadRun)) {
        using _begun = await this.#queue.room(signal);
        if (signal.aborted) return;
        await Promise.all(this.#ways.begin(range, 'ahead'));
      }
    };
    await Promise.allSettled(Array.from({ length: LANES }, lane));
    // It goes on to tell whether readers want what was foreseen.
    if (this.#foresight === foresight) this.#isBringing = false;
  }

  /** Notes that a reader wants a range, and gives how much. */
  urgencyOf(offset: number, length: number): Urgency {
    const foresight = this.#foresight;
    if (foresight === undefined || (!this.#isBringing && !foresight.holds)) return 'demand';
    let isForeseen = true;
    const last = this.#chunks.indexAt(offset + length - 1);
    for (let index = this.#chunks.indexAt(offset); index <= last; index++) {
      if (!foresight.meet(index, this.#ways.isAtHand(index))) isForeseen = false;
    }
    return isForeseen ? 'foreseen' : 'demand';
  }

  /** Begins to bring what is behind a range that comes from afar. @param isNew as `ReadAhead.behind` */
  goOn(offset: number, length: number, urgency: Urgency, isNew: boolean): void {
    if (urgency === 'foreseen') {
      const last = this.#chunks.indexAt(offset + length - 1);
      const range = this.#foresight?.behind(this.#chunks.offsetOf(last + 1), this.#ways.aheadRun);
      // Nobody waits for it yet.
      if (range) this.#ways.begin(range, 'ahead');
      return;
    }
    for (const range of this.#readAhead.behind(offset, length, isNew)) {
      this.#ways.begin(range, urgency);
    }
  }
}
