import {
  DISTANCE_MAX,
  finish,
  LAST_LITERALS,
  LAST_MATCH_START,
  type Lz4Filled,
  type Lz4Filler,
  lengthBytes,
  literalsAfter,
  literalsIn,
  MATCH_MIN,
  matchLength,
  putSequence,
} from './lz4-sequence.ts';
import { viewOf } from './struct.ts';

const HASH_BITS = 15;
const HASH_SHIFT = 32 - HASH_BITS;
const RING_MASK = 0xffff;

/** Places weighed against each other at once. */
const SPAN = 8192;
/** A match of so many bytes is taken without weighing others. */
const LONG_ENOUGH = 64;
/** Candidates looked at, for levels 3 to 12. */
const depths = [4, 6, 8, 12, 16, 24, 32, 64, 128, 256];
const NEVER = 0x7fffffff;

const nothing = new Uint8Array(0);

/**
 * Weighs all ways to encode a stretch of input, as a shortest path: from each place on a literal or
 * the longest match among the last ones with the same four bytes, at any of its lengths. Where an
 * output of fixed size is to be filled, the path that gets furthest wins.
 */
export class Lz4Chains implements Lz4Filler {
  readonly #depth: number;
  /** Last place with a hash, plus one. */
  readonly #heads = new Uint32Array(1 << HASH_BITS);
  /** The place before with the same hash, plus one; by the low 16 bits of a place. */
  readonly #before = new Uint32Array(RING_MASK + 1);
  #inserted = 0;
  #source: Uint8Array = nothing;
  #view = viewOf(nothing);
  // The way to each place of the stretch: its bytes so far, literals it ends with, last match.
  readonly #price = new Int32Array(SPAN + LONG_ENOUGH + 1);
  readonly #literals = new Int32Array(SPAN + LONG_ENOUGH + 1);
  readonly #length = new Int32Array(SPAN + LONG_ENOUGH + 1);
  readonly #distance = new Int32Array(SPAN + LONG_ENOUGH + 1);
  /** Of the match for the place before. */
  #found = 0;
  #foundDistance = 0;

  constructor(level: number) {
    this.#depth = depths[level - 3]!;
  }

  begin(source: Uint8Array): void {
    this.#source = source;
    this.#view = viewOf(source);
    this.#heads.fill(0);
    this.#inserted = 0;
  }

  fill(start: number, target: Uint8Array): Lz4Filled {
    const path = new Path(this.#source, start, target);
    let at = start;
    while (at < this.#source.length && !path.full) at = this.#stretch(at, path);
    return path.finish();
  }

  /** Weighs the ways from `base` on and takes the best. Returns where it leads. */
  #stretch(base: number, path: Path): number {
    const price = this.#price;
    const end = this.#source.length;
    const span = Math.min(SPAN, end - base);
    const limit = path.room;
    price.fill(NEVER, 0, LONG_ENOUGH);
    this.#found = 0;
    price[0] = path.price;
    this.#literals[0] = path.literals;
    this.#length[0] = 0;
    let furthest = 0;
    for (let place = 0; place < span; place++) {
      const here = price[place]!;
      // No step leads further than this; places are made ready one by one.
      price[place + LONG_ENOUGH] = NEVER;
      if (here >= limit) {
        // Nothing that fits leads beyond.
        if (place >= furthest) return this.#end(base, place, path);
        this.#found = 0;
        continue;
      }
      this.#literal(place);
      const at = base + place;
      if (at > end - LAST_MATCH_START) continue;
      const length = this.#search(at, path.start);
      if (length < MATCH_MIN) continue;
      if (length >= LONG_ENOUGH) {
        path.take(this.#trace(place), base, at);
        path.match(at, length, this.#foundDistance);
        return at + length;
      }
      this.#match(place, length);
      furthest = Math.max(furthest, place + length);
    }
    return this.#commit(base, span, path);
  }

  /** Takes the way to the end of the stretch, but for its last steps: matches may lead beyond. */
  #commit(base: number, span: number, path: Path): number {
    if (base + span === this.#source.length) {
      if (this.#price[span]! >= path.room) return this.#end(base, span, path);
      path.take(this.#trace(span), base, base + span);
      return base + span;
    }
    let place = span;
    while (place > span - LONG_ENOUGH) place -= this.#length[place] || 1;
    path.take(this.#trace(place), base, base + place);
    return base + place;
  }

  /** Takes the way to where, with literals behind it, the block gets furthest. */
  #end(base: number, span: number, path: Path): number {
    let best = 0;
    let furthest = path.reachNow;
    for (let place = 1; place <= span; place++) {
      const length = this.#length[place]!;
      const price = this.#price[place]!;
      if (length === 0 || base + place + path.room - price <= furthest) continue;
      const reach = path.reach(price, base + place, length);
      if (reach <= furthest) continue;
      furthest = reach;
      best = place;
    }
    path.take(this.#trace(best), base, base + best);
    path.full = true;
    return base + best;
  }

  #literal(place: number): void {
    const literals = this.#literals[place]! + 1;
    const more = literals >= 15 && (literals - 15) % 255 === 0 ? 2 : 1;
    const price = this.#price[place]! + more;
    if (price >= this.#price[place + 1]!) return;
    this.#price[place + 1] = price;
    this.#literals[place + 1] = literals;
    this.#length[place + 1] = 0;
  }

  #match(place: number, longest: number): void {
    const here = this.#price[place]! + 3;
    for (let length = MATCH_MIN; length <= longest; length++) {
      const price = here + (length < 19 ? 0 : 1);
      const to = place + length;
      if (price >= this.#price[to]!) continue;
      this.#price[to] = price;
      this.#literals[to] = 0;
      this.#length[to] = length;
      this.#distance[to] = this.#foundDistance;
    }
  }

  /** Ends of the steps from the start of the stretch to `place`. */
  #trace(place: number): Step[] {
    const steps: Step[] = [];
    for (let at = place; at > 0; ) {
      const length = this.#length[at]!;
      if (length > 0) steps.push({ place: at - length, length, distance: this.#distance[at]! });
      at -= length || 1;
    }
    return steps.reverse();
  }

  /** Length of the longest match for `at` that begins at `start` or later; its distance is kept. */
  #search(at: number, start: number): number {
    this.#insert(at);
    const source = this.#source;
    const view = this.#view;
    const before = this.#before;
    const four = view.getInt32(at, true);
    const matchEnd = source.length - LAST_LITERALS;
    const lowest = Math.max(start, at - DISTANCE_MAX);
    // The match of the place before goes on here, one byte shorter: only longer ones are of use.
    let longest = Math.max(this.#found - 1, MATCH_MIN - 1);
    let distance = this.#foundDistance;
    let candidate = before[at & RING_MASK]! - 1;
    for (let tries = this.#depth; tries > 0 && candidate >= lowest; tries--) {
      if (
        source[candidate + longest] === source[at + longest] &&
        view.getInt32(candidate, true) === four
      ) {
        const length = matchLength(source, view, candidate, at, matchEnd);
        if (length > longest) {
          longest = length;
          distance = at - candidate;
          if (length >= LONG_ENOUGH || at + length >= matchEnd) break;
        }
      }
      const next = before[candidate & RING_MASK]! - 1;
      // The ring holds something newer where a place was too long ago.
      if (next >= candidate) break;
      candidate = next;
    }
    this.#found = longest;
    this.#foundDistance = distance;
    return longest;
  }

  #insert(upTo: number): void {
    const view = this.#view;
    const heads = this.#heads;
    for (let at = this.#inserted; at <= upTo; at++) {
      const hash = Math.imul(view.getInt32(at, true), 0x9e3779b1) >>> HASH_SHIFT;
      this.#before[at & RING_MASK] = heads[hash]!;
      heads[hash] = at + 1;
    }
    this.#inserted = Math.max(this.#inserted, upTo + 1);
  }
}

interface Step {
  /** Where the match begins, from the start of the stretch. */
  readonly place: number;
  readonly length: number;
  readonly distance: number;
}

/** The sequences taken so far, and the bytes they are. */
class Path {
  readonly start: number;
  readonly #source: Uint8Array;
  readonly #target: Uint8Array;
  /** Place, length and distance of each match. */
  readonly #matches: number[] = [];
  /** Where the last match ends. */
  #anchor: number;
  /** Bytes of the sequences up to the last match. */
  #bytes = 0;
  full = false;
  /** End of what is encoded. */
  #at: number;

  constructor(source: Uint8Array, start: number, target: Uint8Array) {
    this.start = start;
    this.#source = source;
    this.#target = target;
    this.#anchor = start;
    this.#at = start;
  }

  /** Literals since the last match. */
  get literals(): number {
    return this.#at - this.#anchor;
  }

  get price(): number {
    return this.#bytes + lengthBytes(this.literals) + this.literals;
  }

  /** Prices from here on leave no room for the last token. */
  get room(): number {
    return this.#target.length;
  }

  /** How far a block gets whose last match, of `length`, ends at `at` and costs `price` so far. */
  reach(price: number, at: number, length: number): number {
    const literals = literalsIn(this.#target.length - price - 1);
    if (length > 0 && literals < literalsAfter(length)) return -1;
    return Math.min(at + literals, this.#source.length);
  }

  /** How far the block gets with nothing but literals from the last match on. */
  get reachNow(): number {
    const room = Math.max(literalsIn(this.#target.length - this.#bytes - 1), 0);
    return Math.min(this.#anchor + room, this.#source.length);
  }

  /** Matches, and then literals up to `end`. */
  take(steps: readonly Step[], base: number, end: number): void {
    for (const { place, length, distance } of steps) this.match(base + place, length, distance);
    this.#at = end;
  }

  match(at: number, length: number, distance: number): void {
    const literals = at - this.#anchor;
    this.#bytes += 1 + lengthBytes(literals) + literals + 2 + lengthBytes(length - MATCH_MIN);
    this.#matches.push(at, length, distance);
    this.#anchor = at + length;
    this.#at = this.#anchor;
    if (this.#bytes >= this.#target.length) this.full = true;
  }

  finish(): Lz4Filled {
    const matches = this.#matches;
    let anchor = this.start;
    let to = 0;
    for (let index = 0; index < matches.length; index += 3) {
      const at = matches[index]!;
      const literals = at - anchor;
      let length = matches[index + 1]!;
      const fixed = to + 3 + lengthBytes(literals) + literals;
      // Long matches are taken unseen: the last may have to be cut, or left out.
      while (length >= MATCH_MIN && !this.#fits(fixed + lengthBytes(length - MATCH_MIN), length)) {
        length--;
      }
      if (length < MATCH_MIN) break;
      to = putSequence(
        this.#target,
        to,
        this.#source,
        anchor,
        literals,
        length,
        matches[index + 2]!,
      );
      anchor = at + length;
      if (length < matches[index + 1]!) break;
    }
    return finish(this.#target, to, this.#source, this.start, anchor);
  }

  #fits(bytes: number, length: number): boolean {
    return literalsIn(this.#target.length - bytes - 1) >= literalsAfter(length);
  }
}
