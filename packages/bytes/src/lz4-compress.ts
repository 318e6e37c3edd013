import { Lz4Chains } from './lz4-compress-high.ts';
import {
  DISTANCE_MAX,
  finish,
  LAST_LITERALS,
  LAST_MATCH_START,
  type Lz4Filled,
  type Lz4Filler,
  lengthBytes,
  literalsAfter,
  MATCH_MIN,
  matchLength,
  putSequence,
} from './lz4-sequence.ts';
import { viewOf } from './struct.ts';

export type { Lz4Filled, Lz4Filler } from './lz4-sequence.ts';

/** Levels of {@link lz4Filler}, those of `lz4 -N` and LZ4HC. */
export const LZ4_LEVEL_MAX = 12;

/**
 * A compressor for LZ4 blocks of fixed output size.
 *
 * @param level 0 to 2 is fast; 3 to 12 search longer (9 is the usual "high compression").
 * @example
 * const filler = lz4Filler();
 * filler.begin(source);
 * const { consumed, produced } = filler.fill(0, target);
 */
export function lz4Filler(level = 0): Lz4Filler {
  return level < 3 ? new Lz4Fast() : new Lz4Chains(Math.min(level, LZ4_LEVEL_MAX));
}

const HASH_BITS = 14;
const HASH_SHIFT = 32 - HASH_BITS;
/** After 2 to this many misses in a row steps grow by one byte. */
const SKIP_TRIGGER = 6;

const nothing = new Uint8Array(0);

/** Greedy: the last place with the same four bytes is the only candidate. */
class Lz4Fast implements Lz4Filler {
  /** Place of four bytes by their hash, plus one. */
  readonly #table = new Uint32Array(1 << HASH_BITS);
  #source: Uint8Array = nothing;
  #view = viewOf(nothing);

  begin(source: Uint8Array): void {
    this.#source = source;
    this.#view = viewOf(source);
    this.#table.fill(0);
  }

  fill(start: number, target: Uint8Array): Lz4Filled {
    const source = this.#source;
    const view = this.#view;
    const table = this.#table;
    const end = source.length;
    const room = target.length;
    const lastStart = end - LAST_MATCH_START;
    const matchEnd = end - LAST_LITERALS;
    let anchor = start;
    let to = 0;
    let at = start;
    let misses = 1 << SKIP_TRIGGER;
    while (at <= lastStart && to + at - anchor < room) {
      const four = view.getUint32(at, true);
      const hash = Math.imul(four, 0x9e3779b1) >>> HASH_SHIFT;
      const candidate = table[hash]! - 1;
      table[hash] = at + 1;
      // Places before or ahead are from the search for the block before: nothing is cleared.
      if (
        candidate < start ||
        candidate >= at ||
        at - candidate > DISTANCE_MAX ||
        view.getUint32(candidate, true) !== four
      ) {
        at += misses++ >> SKIP_TRIGGER;
        continue;
      }
      let from = candidate;
      while (at > anchor && from > start && source[at - 1] === source[from - 1]) {
        at--;
        from--;
      }
      const length = matchLength(source, view, from, at, matchEnd);
      const fits = fitting(room - to, at - anchor, length);
      if (fits === 0) break;
      to = putSequence(target, to, source, anchor, at - anchor, fits, at - from);
      at += fits;
      anchor = at;
      if (fits < length) break;
      misses = 1 << SKIP_TRIGGER;
      if (at <= lastStart) {
        const before = view.getUint32(at - 2, true);
        table[Math.imul(before, 0x9e3779b1) >>> HASH_SHIFT] = at - 1;
      }
    }
    return finish(target, to, source, start, anchor);
  }
}

/** Of a match after `literals` the length that fits into `room` with what must follow it, or 0. */
function fitting(room: number, literals: number, length: number): number {
  const left = room - (1 + lengthBytes(literals) + literals + 2) - 1;
  if (lengthBytes(length - MATCH_MIN) + literalsAfter(length) <= left) return length;
  const bytes = left - LAST_LITERALS;
  if (bytes < 0) return 0;
  // Each length byte but the last stands for 255 more.
  const longest = bytes === 0 ? 14 : 15 + 255 * bytes - 1;
  const shorter = Math.min(length, MATCH_MIN + longest);
  for (let fits = shorter; fits >= MATCH_MIN && fits > shorter - 8; fits--) {
    if (lengthBytes(fits - MATCH_MIN) + literalsAfter(fits) <= left) return fits;
  }
  return 0;
}
