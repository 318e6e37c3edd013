import {
  AFTER_LITERAL,
  IS_MATCH,
  IS_REPEAT,
  IS_REPEAT_0,
  IS_REPEAT_0_LONG,
  IS_REPEAT_1,
  IS_REPEAT_2,
  POSITION_STATES,
} from '../lzma/layout.ts';
import { LENGTH_MAX, NODE_SIZE, NODES } from './memory.ts';

/** How a stream is searched and written. */
export interface ParseSettings {
  readonly positionBits: number;
  /** A match of so many bytes is taken without a look at others. */
  readonly nice: number;
  /** Places looked at in a tree. */
  readonly depth: number;
}

/**
 * Finds the cheapest way through the next bytes: each place is a node that remembers the cheapest way
 * to it so far; from each, literals, repeats and matches lead on. It ends where no match leads beyond.
 *
 * A step to a node is a first part (a literal where its distance is -1, a repeat for 0 to 3, a match for
 * four and more) of FIRST bytes, and where TWO is set a literal and a repeat of the last distance more.
 */
export const parseKernel = ({ positionBits, nice, depth }: ParseSettings): string => `
const PRICE = 0;
const FROM = 4;
const DISTANCE = 8;
const FIRST = 12;
const TWO = 16;
const NODE_STATE = 20;
const NODE_REPS = 24;
const NEXT = 40;
const INFINITE = 0x3fffffff;

inline function nodeAt(index): i32 {
  return NODE + index * ${NODE_SIZE};
}

inline function positionOf(at, start): i32 {
  return at - start & ${2 ** positionBits - 1};
}

inline function afterLiteral(state): i32 {
  return select(state < 4, 0, state - select(state < 10, 3, 6));
}

inline function isMatchPrice(state, position, bit): i32 {
  return bitPrice(${IS_MATCH} + state * ${POSITION_STATES} + position, bit);
}

// Of a repeat, behind the bits that say it is one, for lengths from 2 on.
function repeatPrice(index, state, position): i32 {
  if (index == 0) {
    return bitPrice(${IS_REPEAT_0} + state, 0) +
      bitPrice(${IS_REPEAT_0_LONG} + state * ${POSITION_STATES} + position, 1);
  }
  let price = bitPrice(${IS_REPEAT_0} + state, 1);
  if (index == 1) return price + bitPrice(${IS_REPEAT_1} + state, 0);
  return price + bitPrice(${IS_REPEAT_1} + state, 1) + bitPrice(${IS_REPEAT_2} + state, index - 2);
}

// Makes a way to a node known, if it is the cheapest. Returns the farthest node known.
inline function offer(far, index, price, from, distance, first, two): i32 {
  while (far < index) {
    far += 1;
    i32[nodeAt(far) + PRICE] = INFINITE;
  }
  let node = nodeAt(index);
  if (price < i32[node + PRICE]) {
    i32[node + PRICE] = price;
    i32[node + FROM] = from;
    i32[node + DISTANCE] = distance;
    i32[node + FIRST] = first;
    i32[node + TWO] = two;
  }
  return far;
}

// Puts the distance of a repeat, or of a match, in front of the others. Returns the state behind it.
function turn(reps, state, distance, first): i32 {
  let behind = state < ${AFTER_LITERAL};
  if (distance >= 4) {
    i64[reps + 8] = i64[reps + 4];
    i32[reps + 4] = i32[reps];
    i32[reps] = distance - 4;
    return select(behind, 7, 10);
  }
  let repeated = i32[reps + (distance << 2)];
  let index = distance;
  while (index > 0) {
    i32[reps + (index << 2)] = i32[reps - 4 + (index << 2)];
    index -= 1;
  }
  i32[reps] = repeated;
  return select(first == 1, select(behind, 9, 11), select(behind, 8, 11));
}

// State and last distances of a node, once nothing leads to it any more.
function settle(node) {
  let from = nodeAt(i32[node + FROM]);
  let reps = node + NODE_REPS;
  let state = i32[from + NODE_STATE];
  i64[reps] = i64[from + NODE_REPS];
  i64[reps + 8] = i64[from + NODE_REPS + 8];
  if (i32[node + DISTANCE] < 0) state = afterLiteral(state);
  else state = turn(reps, state, i32[node + DISTANCE], i32[node + FIRST]);
  if (i32[node + TWO] != 0) {
    if (i32[node + DISTANCE] >= 0) state = afterLiteral(state);
    state = turn(reps, state, 0, 2);
  }
  i32[node + NODE_STATE] = state;
}

// A literal and a repeat behind a first part: its price without that, and how long it is.
function twoPrice(at, state, distance, length, start): i32 {
  let position = positionOf(at, start);
  let price = isMatchPrice(state, position, 0);
  let matched = select(state < ${AFTER_LITERAL}, -1, u8[at - distance - 1]);
  price += literalPrice(at - start, u8[at - 1], u8[at], matched);
  state = afterLiteral(state);
  position = positionOf(at + 1, start);
  price += isMatchPrice(state, position, 1) + bitPrice(${IS_REPEAT} + state, 1);
  return price + repeatPrice(0, state, position) + lengthPrice(1, position, length);
}

inline function least(a, b): i32 {
  return select(a < b, a, b);
}

// Whether a literal at and then a repeat of a distance make sense; the length of that.
inline function lengthBehind(at, distance, end): i32 {
  let most = least(end - at - 1, ${nice});
  if (most < 2 || u16[at + 1] != u16[at - distance]) return 0;
  return matchLength(at + 1, at - distance, 2, most);
}

// From a node to those behind it by literals and repeats. Returns the farthest node known.
inline function offerRepeats(far, index, at, most, start, end): i32 {
  let node = nodeAt(index);
  let state = i32[node + NODE_STATE];
  let position = positionOf(at, start);
  let base = i32[node + PRICE] + isMatchPrice(state, position, 1) + bitPrice(${IS_REPEAT} + state, 1);
  let rep = 0;
  while (rep < 4) {
    let distance = i32[node + NODE_REPS + (rep << 2)];
    if (distance < at - start && u16[at] == u16[at - distance - 1]) {
      let length = matchLength(at, at - distance - 1, 2, most);
      let price = base + repeatPrice(rep, state, position);
      let each = length;
      while (each >= 2) {
        far = offer(far, index + each, price + lengthPrice(1, position, each), index, rep, each, 0);
        each -= 1;
      }
      let behind = lengthBehind(at + length, distance, end);
      if (behind >= 2) {
        let two = twoPrice(at + length, select(state < ${AFTER_LITERAL}, 8, 11), distance, behind, start);
        two += price + lengthPrice(1, position, length);
        far = offer(far, index + length + 1 + behind, two, index, rep, length, 1);
      }
    }
    rep += 1;
  }
  return far;
}

// The same by matches, which find has listed.
inline function offerMatches(far, index, at, count, start, end): i32 {
  let node = nodeAt(index);
  let state = i32[node + NODE_STATE];
  let position = positionOf(at, start);
  let base = i32[node + PRICE] + isMatchPrice(state, position, 1) + bitPrice(${IS_REPEAT} + state, 0);
  let match = 0;
  let each = 2;
  while (match < count) {
    let length = i32[MATCHES + (match << 3)];
    let distance = i32[MATCHES + 4 + (match << 3)];
    while (each <= length) {
      let price = base + lengthPrice(0, position, each) + distancePrice(distance, each);
      far = offer(far, index + each, price, index, distance + 4, each, 0);
      each += 1;
    }
    let behind = lengthBehind(at + length, distance, end);
    if (behind >= 2) {
      let two = twoPrice(at + length, select(state < ${AFTER_LITERAL}, 7, 10), distance, behind, start);
      two += base + lengthPrice(0, position, length) + distancePrice(distance, length);
      far = offer(far, index + length + 1 + behind, two, index, distance + 4, length, 1);
    }
    match += 1;
  }
  return far;
}

inline function offerLiterals(far, index, at, start, end): i32 {
  let node = nodeAt(index);
  let state = i32[node + NODE_STATE];
  let distance = i32[node + NODE_REPS];
  let position = positionOf(at, start);
  let before = select(at > start, u8[at - 1], 0);
  let matched = select(distance < at - start, u8[at - distance - 1], -1);
  let given = select(state < ${AFTER_LITERAL}, -1, matched);
  let price = i32[node + PRICE] + isMatchPrice(state, position, 0) +
    literalPrice(at - start, before, u8[at], given);
  far = offer(far, index + 1, price, index, -1, 1, 0);
  if (matched == u8[at]) {
    let short = i32[node + PRICE] + isMatchPrice(state, position, 1) +
      bitPrice(${IS_REPEAT} + state, 1) + bitPrice(${IS_REPEAT_0} + state, 0) +
      bitPrice(${IS_REPEAT_0_LONG} + state * ${POSITION_STATES} + position, 0);
    far = offer(far, index + 1, short, index, 0, 1, 0);
  } else if (matched >= 0) {
    let behind = lengthBehind(at, distance, end);
    if (behind >= 2) {
      let two = i32[node + PRICE] + twoPrice(at, state, distance, behind, start);
      far = offer(far, index + 1 + behind, two, index, -1, 1, 1);
    }
  }
  return far;
}

// Marks the way to a node from node to node. Returns the node's number.
function markWay(last): i32 {
  let index = last;
  while (index > 0) {
    let from = i32[nodeAt(index) + FROM];
    i32[nodeAt(from) + NEXT] = index;
    index = from;
  }
  return last;
}

// A match so long that it is taken: enters what it covers. Returns its node.
function take(index, at, distance, length, start, end): i32 {
  let node = nodeAt(index + length);
  i32[node + FROM] = index;
  i32[node + DISTANCE] = distance;
  i32[node + FIRST] = length;
  i32[node + TWO] = 0;
  let covered = 1;
  while (covered < length) {
    find(at + covered, start, least(end - at - covered, ${nice}), ${depth});
    covered += 1;
  }
  return markWay(index + length);
}

// The repeat of at least the nice length, or -1.
function niceRepeat(node, at, most, start): i32 {
  let rep = 0;
  while (rep < 4) {
    let distance = i32[node + NODE_REPS + (rep << 2)];
    if (distance < at - start && matchLength(at, at - distance - 1, 0, most) >= ${nice}) return rep;
    rep += 1;
  }
  return -1;
}

// Finds a way from at on. Returns how many bytes it covers.
function parse(at, start, end): i32 {
  let first = nodeAt(0);
  i32[first + PRICE] = 0;
  i32[first + NODE_STATE] = i32[STATE];
  i64[first + NODE_REPS] = i64[REPS];
  i64[first + NODE_REPS + 8] = i64[REPS_2];
  let index = 0;
  let far = 0;
  while (index == 0 || index < far) {
    if (index >= ${NODES - 2 * LENGTH_MAX - 2}) break;
    let node = nodeAt(index);
    if (index > 0) settle(node);
    let here = at + index;
    let whole = least(end - here, ${LENGTH_MAX});
    let most = least(whole, ${nice});
    let count = find(here, start, most, ${depth});
    if (most >= ${nice}) {
      let rep = niceRepeat(node, here, most, start);
      if (rep >= 0) {
        let distance = i32[node + NODE_REPS + (rep << 2)];
        return take(index, here, rep, matchLength(here, here - distance - 1, ${nice}, whole), start, end);
      }
      if (count > 0 && i32[MATCHES - 8 + (count << 3)] >= ${nice}) {
        let distance = i32[MATCHES - 4 + (count << 3)];
        let length = matchLength(here, here - distance - 1, ${nice}, whole);
        return take(index, here, distance + 4, length, start, end);
      }
    }
    far = offerLiterals(far, index, here, start, end);
    if (most >= 2) {
      far = offerRepeats(far, index, here, most, start, end);
      far = offerMatches(far, index, here, count, start, end);
    }
    index += 1;
  }
  return markWay(index);
}
`;
