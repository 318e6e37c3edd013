import type { Chunks } from './chunks.ts';
import { type ByteRange, near } from './ranges.ts';

/** Chunks that readers want before it is judged whether they were foreseen. */
const TRIAL = 64;

/** What is known of a chunk: it was foreseen; nobody has asked for it yet; no reader has met it yet. */
const FORESEEN = 1;
const LEFT = 2;
const UNMET = 4;

/**
 * The chunks that readers are expected to want, in that order, as a trace of an earlier run has them.
 * It gives itself up where readers want other things. A byte a chunk is what it needs, and a look at each is what
 * it costs, however many ranges name them.
 */
export class Foresight {
  readonly #chunks: Chunks;
  readonly #states: Uint8Array;
  /** First and last chunks, no chunk in two of them; those before `#turn` have been asked for. */
  readonly #runs: readonly ByteRange[];
  #turn = 0;
  /** None of the present run before it is left. */
  #from = 0;
  #met = 0;
  #missed = 0;

  constructor(chunks: Chunks, ranges: readonly ByteRange[]) {
    this.#chunks = chunks;
    this.#states = new Uint8Array(chunks.count);
    const runs: ByteRange[] = [];
    for (const [start, wanted] of ranges) {
      const end = Math.min(wanted, chunks.size);
      if (start < end) runs.push([chunks.indexAt(start), chunks.indexAt(end - 1)]);
    }
    this.#runs = near(runs, 0);
    for (const [first, last] of this.#runs) {
      this.#states.fill(FORESEEN | LEFT | UNMET, first, last + 1);
    }
  }

  /** Whether readers want what was foreseen, as far as is known. */
  get holds(): boolean {
    return this.#met + this.#missed < TRIAL || this.#met >= this.#missed;
  }

  /** The next range to bring, of at most so many bytes. Undefined at the end, or where it is wrong. */
  next(most: number): ByteRange | undefined {
    if (!this.holds) return undefined;
    for (; this.#turn < this.#runs.length; this.#turn++) {
      const [first, last] = this.#runs[this.#turn]!;
      for (let index = Math.max(first, this.#from); index <= last; index++) {
        if (!this.#isLeft(index)) continue;
        this.#from = index;
        return this.#take(index, most);
      }
      this.#from = 0;
    }
    return undefined;
  }

  /** What is foreseen behind a byte and not asked for yet, of at most so many bytes. */
  behind(offset: number, most: number): ByteRange | undefined {
    if (offset >= this.#chunks.size) return undefined;
    const index = this.#chunks.indexAt(offset);
    return this.#isLeft(index) ? this.#take(index, most) : undefined;
  }

  #isLeft(index: number): boolean {
    return (this.#states[index]! & LEFT) !== 0;
  }

  #take(first: number, most: number): ByteRange {
    const start = this.#chunks.offsetOf(first);
    let index = first;
    do this.#states[index++]! &= ~LEFT;
    while (
      index < this.#chunks.count &&
      this.#isLeft(index) &&
      this.#chunks.offsetOf(index + 1) - start <= most
    );
    return [start, this.#chunks.offsetOf(index)];
  }

  /**
   * Notes that a reader wants a chunk, which may be at hand by now. Gives whether that was foreseen.
   */
  meet(index: number, isAtHand: boolean): boolean {
    const state = this.#states[index]!;
    this.#states[index] = state & FORESEEN;
    if ((state & UNMET) !== 0) this.#met++;
    const isForeseen = state !== 0;
    // Of what is here anyway nobody knows who brought it.
    if (!isForeseen && !isAtHand) this.#missed++;
    return isForeseen;
  }
}
