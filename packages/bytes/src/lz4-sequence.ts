/**
 * What the two LZ4 compressors share: sizes, and the bytes of one sequence.
 * Source: lz4 doc/lz4_Block_format.md.
 */

export const MATCH_MIN = 4;
/** Matches reach at most so far back. */
export const DISTANCE_MAX = 65535;
/** A block ends with so many literals at least. */
export const LAST_LITERALS = 5;
/** The last match begins so many bytes before the end at least. */
export const LAST_MATCH_START = 12;

/**
 * Makes LZ4 blocks that fill a given room: as much input as fits goes in. Blocks are independent of
 * each other. Not safe for use by two callers at once; one of these serves many sources in turn.
 */
export interface Lz4Filler {
  /** Takes another source. Bytes must not change until the next one is taken. */
  begin(source: Uint8Array): void;
  /**
   * Encodes the source from `start` on into `target`, not beyond either's end. Calls for one source
   * come with rising `start`. Nothing is written where `target` is too short to be of use: then
   * `consumed` is 0.
   */
  fill(start: number, target: Uint8Array): Lz4Filled;
}

export interface Lz4Filled {
  /** Bytes of the source in the block. */
  readonly consumed: number;
  /** Bytes of the block. */
  readonly produced: number;
}

/** Bytes after the token for a length of literals, or of a match less four. */
export function lengthBytes(length: number): number {
  return length < 15 ? 0 : Math.floor((length - 15) / 255) + 1;
}

/** Literals that fit into `room` bytes behind a token, their length bytes counted. */
export function literalsIn(room: number): number {
  if (room < 15) return room;
  let literals = room - lengthBytes(room);
  while (literals + 1 + lengthBytes(literals + 1) <= room) literals++;
  return literals;
}

/** Literals that must follow a match of `length` when nothing else does. */
export function literalsAfter(length: number): number {
  return Math.max(LAST_LITERALS, LAST_MATCH_START - length);
}

/** Writes one sequence at `at`; `length` 0 is the last one, without a match. Returns its end. */
export function putSequence(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  anchor: number,
  literals: number,
  length: number,
  distance: number,
): number {
  const token = at;
  let to = at + 1;
  const high = Math.min(literals, 15);
  if (high === 15) to = putLength(target, to, literals - 15);
  // Short runs are the rule: a loop is faster than a call.
  if (literals < 32) for (let i = 0; i < literals; i++) target[to + i] = source[anchor + i]!;
  else target.set(source.subarray(anchor, anchor + literals), to);
  to += literals;
  if (length === 0) {
    target[token] = high << 4;
    return to;
  }
  target[to] = distance & 0xff;
  target[to + 1] = distance >> 8;
  to += 2;
  const low = Math.min(length - MATCH_MIN, 15);
  target[token] = (high << 4) | low;
  return low === 15 ? putLength(target, to, length - MATCH_MIN - 15) : to;
}

function putLength(target: Uint8Array, at: number, length: number): number {
  let to = at;
  let left = length;
  for (; left >= 255; left -= 255) target[to++] = 255;
  target[to++] = left;
  return to;
}

/** Bytes from `at` on that are as those from `from` on, from the fifth on, up to `end`. */
export function matchLength(
  source: Uint8Array,
  view: DataView,
  from: number,
  at: number,
  end: number,
): number {
  let here = at + MATCH_MIN;
  let there = from + MATCH_MIN;
  while (here + 4 <= end && view.getInt32(here, true) === view.getInt32(there, true)) {
    here += 4;
    there += 4;
  }
  while (here < end && source[here] === source[there]) {
    here++;
    there++;
  }
  return here - at;
}

/** Ends a block with as many literals as fit. */
export function finish(
  target: Uint8Array,
  to: number,
  source: Uint8Array,
  start: number,
  anchor: number,
): Lz4Filled {
  const literals = Math.min(literalsIn(target.length - to - 1), source.length - anchor);
  if (literals < 0) return { consumed: 0, produced: 0 };
  const produced = putSequence(target, to, source, anchor, literals, 0, 0);
  return { consumed: anchor + literals - start, produced };
}
