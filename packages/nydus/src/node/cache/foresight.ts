import type { Chunks } from './chunks.ts';

/** Bytes [start, end) of a blob. */
export type ByteRange = readonly [start: number, end: number];

/** Chunks that readers want before it is judged whether they were foreseen. */
const TRIAL = 64;

/**
 * The chunks that readers are expected to want, in that order, as a trace of an earlier run has them.
 * It gives itself up where readers want other things.
 */
export class Foresight {
  readonly #chunks: Chunks;
  /** Those that nobody has asked for yet. */
  readonly #left = new Set<number>();
  /** Those that no reader has met yet. */
  readonly #unmet: Set<number>;
  readonly #all: ReadonlySet<number>;
  #met = 0;
  #missed = 0;

  constructor(chunks: Chunks, ranges: readonly ByteRange[]) {
    this.#chunks = chunks;
    for (const [start, end] of ranges) {
      if (end <= start) continue;
      const last = chunks.indexAt(end - 1);
      for (let index = chunks.indexAt(start); index <= last; index++) this.#left.add(index);
    }
    this.#unmet = new Set(this.#left);
    this.#all = new Set(this.#left);
  }

  /** Whether readers want what was foreseen, as far as is known. */
  get holds(): boolean {
    return this.#met + this.#missed < TRIAL || this.#met >= this.#missed;
  }

  /** The next range to bring, of at most so many bytes. Undefined at the end, or where it is wrong. */
  next(most: number): ByteRange | undefined {
    const [first] = this.#left;
    return first === undefined || !this.holds ? undefined : this.#take(first, most);
  }

  /** What is foreseen behind a byte and not asked for yet, of at most so many bytes. */
  behind(offset: number, most: number): ByteRange | undefined {
    const index = offset < this.#chunks.size ? this.#chunks.indexAt(offset) : -1;
    return this.#left.has(index) ? this.#take(index, most) : undefined;
  }

  #take(first: number, most: number): ByteRange {
    const start = this.#chunks.offsetOf(first);
    let index = first;
    do this.#left.delete(index++);
    while (this.#left.has(index) && this.#chunks.offsetOf(index + 1) - start <= most);
    return [start, this.#chunks.offsetOf(index)];
  }

  /**
   * Notes that a reader wants a chunk, which may be at hand by now. Gives whether that was foreseen.
   */
  meet(index: number, isAtHand: boolean): boolean {
    if (this.#unmet.delete(index)) this.#met++;
    const isForeseen = this.#all.has(index);
    // Of what is here anyway nobody knows who brought it.
    if (!isForeseen && !isAtHand) this.#missed++;
    this.#left.delete(index);
    return isForeseen;
  }
}
