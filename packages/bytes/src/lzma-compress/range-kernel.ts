import { ADAPT, HALF, LITERAL_SIZE, LITERALS, PROBABILITY_BITS, TOP } from '../lzma/layout.ts';
import { tables } from './memory.ts';

/** The range encoder. Source: Igor Pavlov's LZMA specification, of which this is the other way round. */
export const rangeKernel = (literalBits: number): string => `
function beginRange(target) {
  let at = ${tables.PROBABILITIES};
  while (at < ${tables.PROBABILITIES + 2 * (LITERALS + (LITERAL_SIZE << literalBits))}) {
    i32[at] = ${HALF * 0x10001};
    at += 4;
  }
  i64[LOW] = 0;
  i32[RANGE] = -1;
  i32[CACHE] = 0;
  i32[PENDING] = 1;
  i32[TO] = target;
}

// Gives out the byte that is certain by now, and keeps the one that a carry may change.
function shift() {
  let low: i64 = i64[LOW];
  let carry = wrap(low >>> 32);
  if (carry != 0 || below(wrap(low), 0xff000000)) {
    let to = i32[TO];
    let pending = i32[PENDING];
    u8[to] = i32[CACHE] + carry;
    to += 1;
    while (pending > 1) {
      u8[to] = carry - 1;
      to += 1;
      pending -= 1;
    }
    i32[TO] = to;
    i32[PENDING] = 0;
    i32[CACHE] = wrap(low) >>> 24;
  }
  i32[PENDING] = i32[PENDING] + 1;
  i64[LOW] = (low & 0xffffff) << 8;
}

function putBit(index, bit) {
  let at = ${tables.PROBABILITIES} + (index << 1);
  let probability = u16[at];
  let range = i32[RANGE];
  let bound = (range >>> ${PROBABILITY_BITS}) * probability;
  if (bit == 0) {
    range = bound;
    u16[at] = probability + (${2 * HALF} - probability >> ${ADAPT});
  } else {
    i64[LOW] = i64[LOW] + extend(bound);
    range -= bound;
    u16[at] = probability - (probability >> ${ADAPT});
  }
  if (below(range, ${TOP})) {
    range = range << 8;
    shift();
  }
  i32[RANGE] = range;
}

function putDirect(value, bits) {
  while (bits > 0) {
    bits -= 1;
    let range = i32[RANGE] >>> 1;
    if ((value >>> bits & 1) != 0) i64[LOW] = i64[LOW] + extend(range);
    if (below(range, ${TOP})) {
      range = range << 8;
      shift();
    }
    i32[RANGE] = range;
  }
}

function putTree(base, bits, value) {
  let symbol = 1;
  while (bits > 0) {
    bits -= 1;
    let bit = value >>> bits & 1;
    putBit(base + symbol, bit);
    symbol = symbol << 1 | bit;
  }
}

function putReverse(base, bits, value) {
  let symbol = 1;
  while (bits > 0) {
    bits -= 1;
    let bit = value & 1;
    putBit(base + symbol, bit);
    symbol = symbol << 1 | bit;
    value = value >>> 1;
  }
}

// Bytes of the stream if it ended now.
inline function sizeNow(target): i32 {
  return i32[TO] - target + i32[PENDING] + 4;
}

function endRange() {
  let left = 5;
  while (left > 0) {
    shift();
    left -= 1;
  }
}
`;
