import {
  AFTER_LITERAL,
  ALIGN,
  IS_MATCH,
  IS_REPEAT,
  IS_REPEAT_0,
  IS_REPEAT_0_LONG,
  IS_REPEAT_1,
  IS_REPEAT_2,
  MATCH_LENGTH,
  POSITION_STATES,
  REPEAT_LENGTH,
  SLOTS,
  SPECIAL,
} from '../lzma/layout.ts';

/** Symbols after which prices are made anew; fewer at the start, when probabilities change fast. */
const PRICES_LAST = 128;

/** Writes the symbols of the ways that are found, as long as they fit. */
export const fillKernel = (nice: number, windowBits: number): string => `
function putLiteral(at, start) {
  let state = i32[STATE];
  putBit(${IS_MATCH} + state * ${POSITION_STATES} + positionOf(at, start), 0);
  let before = select(at > start, u8[at - 1], 0);
  let base = literalBase(at - start, before);
  let symbol = u8[at] | 256;
  if (state < ${AFTER_LITERAL}) putTree(base, 8, symbol & 255);
  else {
    let matched = u8[at - i32[REPS] - 1];
    let offset = 256;
    while (symbol < 65536) {
      matched = matched << 1;
      putBit(base + offset + (matched & offset) + (symbol >> 8), symbol >> 7 & 1);
      symbol = symbol << 1;
      offset = offset & ~(matched ^ symbol);
    }
  }
  i32[STATE] = afterLiteral(state);
}

function putLength(base, position, length) {
  length -= 2;
  if (length < 8) {
    putBit(base, 0);
    putTree(base + 2 + position * 8, 3, length);
  } else {
    putBit(base, 1);
    if (length < 16) {
      putBit(base + 1, 0);
      putTree(base + ${2 + POSITION_STATES * 8} + position * 8, 3, length - 8);
    } else {
      putBit(base + 1, 1);
      putTree(base + ${2 + 2 * POSITION_STATES * 8}, 8, length - 16);
    }
  }
}

function putDistance(distance, length) {
  let slot = slotOf(distance);
  putTree(${SLOTS} + lengthKind(length) * 64, 6, slot);
  if (slot < 4) return;
  let bits = (slot >> 1) - 1;
  let base = (2 | slot & 1) << bits;
  if (slot < 14) putReverse(${SPECIAL} + base - slot, bits, distance - base);
  else {
    putDirect(distance - base >>> 4, bits - 4);
    putReverse(${ALIGN}, 4, distance & 15);
  }
}

function putRepeat(index, state, position, length) {
  if (index == 0) {
    putBit(${IS_REPEAT_0} + state, 0);
    putBit(${IS_REPEAT_0_LONG} + state * ${POSITION_STATES} + position, length != 1);
  } else {
    putBit(${IS_REPEAT_0} + state, 1);
    putBit(${IS_REPEAT_1} + state, index != 1);
    if (index != 1) putBit(${IS_REPEAT_2} + state, index - 2);
  }
  if (length != 1) putLength(${REPEAT_LENGTH}, position, length);
}

// A repeat, or a match whose distance less one has 4 added.
function putMatch(at, start, distance, length) {
  let state = i32[STATE];
  let position = positionOf(at, start);
  putBit(${IS_MATCH} + state * ${POSITION_STATES} + position, 1);
  putBit(${IS_REPEAT} + state, distance < 4);
  if (distance < 4) putRepeat(distance, state, position, length);
  else {
    putLength(${MATCH_LENGTH}, position, length);
    putDistance(distance - 4, length);
  }
  i32[STATE] = turn(REPS, state, distance, length);
}

// One symbol, unless it does not fit: then nothing is changed but probabilities, and 0 is returned.
function putWithin(at, start, distance, length, target, room): i32 {
  let low: i64 = i64[LOW];
  let range = i32[RANGE];
  let cache = i32[CACHE];
  let pending = i32[PENDING];
  let to = i32[TO];
  if (distance < 0) putLiteral(at, start);
  else putMatch(at, start, distance, length);
  if (sizeNow(target) <= room) return 1;
  i64[LOW] = low;
  i32[RANGE] = range;
  i32[CACHE] = cache;
  i32[PENDING] = pending;
  i32[TO] = to;
  return 0;
}

// Encodes bytes from start on, before end, into at most room bytes from target on.
export function fill(start, end, target, room): i32 {
  beginRange(target);
  clearFinder();
  i32[STATE] = 0;
  i64[REPS] = 0;
  i64[REPS_2] = 0;
  let at = start;
  let fits = 1;
  let symbols = 0;
  let until = 0;
  while (at < end && fits) {
    if (symbols >= until) {
      makePrices(${nice}, ${2 * windowBits});
      until = symbols + select(symbols < ${PRICES_LAST}, 16 + (symbols >> 2), ${PRICES_LAST});
    }
    let covered = parse(at, start, end);
    let index = 0;
    while (index < covered && fits) {
      let from = index;
      index = i32[nodeAt(index) + NEXT];
      let node = nodeAt(index);
      let distance = i32[node + DISTANCE];
      let first = i32[node + FIRST];
      let length = index - from;
      fits = putWithin(at, start, distance, first, target, room);
      if (fits == 0) break;
      at += first;
      symbols += 1;
      if (i32[node + TWO] != 0) {
        if (distance >= 0) {
          fits = putWithin(at, start, -1, 1, target, room);
          if (fits == 0) break;
          at += 1;
          first += 1;
        }
        fits = putWithin(at, start, 0, length - first, target, room);
        if (fits == 0) break;
        at += length - first;
        symbols += 2;
      }
    }
  }
  i32[RESULT] = at - start;
  endRange();
  return i32[TO] - target;
}
`;
