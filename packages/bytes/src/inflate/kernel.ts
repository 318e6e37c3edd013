import { codesKernel } from './codes-kernel.ts';
import { MODE, STATE, STATUS } from './layout.ts';

/**
 * DEFLATE, from any bit on, as much as there is input and room for. Between calls only what STATE and
 * the tables hold is kept. Source: RFC 1951.
 */
export const inflateKernel: string = `${codesKernel}
const AT = ${STATE.at};
const TO = ${STATE.to};
const MODE = ${STATE.mode};
const LAST = ${STATE.last};
const LEFT = ${STATE.left};
const HOLD = ${STATE.hold};
const BITS = ${STATE.bits};
const HEADER = ${MODE.header};
const CODES = ${MODE.codes};
const STORED = ${MODE.stored};
const ENDED = ${MODE.ended};

// Copies a match, up to 16 bytes further than its end.
inline function copyMatch(to, distance, end) {
  let from = to - distance;
  if (distance >= 16) {
    copy16(to, from);
    to += 16;
    while (to < end) {
      from += 16;
      copy16(to, from);
      to += 16;
    }
  } else if (distance == 1) {
    let word: i64 = extend(u8[from] * 0x01010101);
    word = word | word << 32;
    while (to < end) {
      i64[to] = word;
      i64[to + 8] = word;
      to += 16;
    }
  } else if (distance >= 8) {
    while (to < end) {
      i64[to] = i64[from];
      to += 8;
      from += 8;
    }
  } else {
    while (to < end) {
      u8[to] = u8[from];
      to += 1;
      from += 1;
    }
  }
}

// Leaves where things stand: bytes that are not begun are given back to the input.
inline function leave(at, to, hold: i64, bits, mode) {
  i32[AT] = at - (bits >>> 3);
  i32[TO] = to;
  i32[HOLD] = wrap(hold) & (1 << (bits & 7)) - 1;
  i32[BITS] = bits & 7;
  i32[MODE] = mode;
}

// Decodes symbols of a block, where input is plenty; leaves off near its end. Mode changes at the end
// of the block.
function decodeFast(inEnd, outEnd, history): i32 {
  let at = i32[AT];
  let to = i32[TO];
  let bits = i32[BITS];
  let hold: i64 = extend(i32[HOLD]);
  let inLast = inEnd - 16;
  while (at <= inLast && to < outEnd) {
    hold = hold | i64[at] << extend(bits);
    at += 63 - bits >>> 3;
    bits = bits | 56;
    let entry = i32[((wrap(hold) & 2047) << 2) + LITERALS];
    if (entry < 0) {
      hold = hold >>> extend(entry);
      bits -= entry & 63;
      u8[to] = entry >>> 16;
      entry = i32[((wrap(hold) & 2047) << 2) + LITERALS];
      if (entry < 0) {
        hold = hold >>> extend(entry);
        bits -= entry & 63;
        u8[to + 1] = entry >>> 16;
        entry = i32[((wrap(hold) & 2047) << 2) + LITERALS];
        if (entry < 0) {
          hold = hold >>> extend(entry);
          bits -= entry & 63;
          u8[to + 2] = entry >>> 16;
          to += 3;
          continue;
        }
        to += 2;
      } else {
        to += 1;
      }
    }
    if (entry & SPECIAL) {
      if (entry & LONGER) {
        hold = hold >>> extend(entry);
        bits -= entry & 63;
        entry = i32[((entry >>> 16) + (wrap(hold) & (1 << (entry >>> 8 & 15)) - 1) << 2) + LITERALS];
        if (entry < 0) {
          hold = hold >>> extend(entry);
          bits -= entry & 63;
          u8[to] = entry >>> 16;
          to += 1;
          continue;
        }
      }
      if (entry & BLOCK_END) {
        leave(at, to, hold >>> extend(entry), bits - (entry & 63), select(i32[LAST], ENDED, HEADER));
        return 0;
      }
      if (entry & NONE) {
        leave(at, to, hold, bits, CODES);
        return -8;
      }
    }
    let length = (entry >>> 16) + ((wrap(hold) & (1 << (entry & 63)) - 1) >>> (entry >>> 8 & 15));
    hold = hold >>> extend(entry);
    bits -= entry & 63;
    hold = hold | i64[at] << extend(bits);
    at += 63 - bits >>> 3;
    bits = bits | 56;
    entry = i32[((wrap(hold) & 255) << 2) + DISTANCES];
    if (entry & LONGER) {
      hold = hold >>> extend(entry);
      bits -= entry & 63;
      entry = i32[((entry >>> 16) + (wrap(hold) & (1 << (entry >>> 8 & 15)) - 1) << 2) + DISTANCES];
    }
    if (entry & NONE) {
      leave(at, to, hold, bits, CODES);
      return -8;
    }
    let distance = (entry >>> 16) + ((wrap(hold) & (1 << (entry & 63)) - 1) >>> (entry >>> 8 & 15));
    hold = hold >>> extend(entry);
    bits -= entry & 63;
    if (distance > to - history) {
      leave(at, to, hold, bits, CODES);
      return -9;
    }
    copyMatch(to, distance, to + length);
    to += length;
  }
  leave(at, to, hold, bits, CODES);
  return 0;
}

// Decodes one symbol, near the end of the input: 1 where it is not all there.
function decodeOne(inEnd, history): i32 {
  let at = i32[AT];
  let to = i32[TO];
  let bits = i32[BITS];
  let hold: i64 = extend(i32[HOLD]);
  while (bits <= 48 && at < inEnd) {
    hold = hold | extend(u8[at]) << extend(bits);
    at += 1;
    bits += 8;
  }
  let entry = i32[((wrap(hold) & 2047) << 2) + LITERALS];
  if (entry & LONGER) {
    if ((entry & 63) > bits) return 1;
    hold = hold >>> extend(entry);
    bits -= entry & 63;
    entry = i32[((entry >>> 16) + (wrap(hold) & (1 << (entry >>> 8 & 15)) - 1) << 2) + LITERALS];
  }
  if ((entry & 63) > bits) return 1;
  if (entry & NONE) return select(bits < 15, 1, -8);
  if (entry < 0) {
    u8[to] = entry >>> 16;
    leave(at, to + 1, hold >>> extend(entry), bits - (entry & 63), CODES);
    return 0;
  }
  if (entry & BLOCK_END) {
    leave(at, to, hold >>> extend(entry), bits - (entry & 63), select(i32[LAST], ENDED, HEADER));
    return 0;
  }
  let length = (entry >>> 16) + ((wrap(hold) & (1 << (entry & 63)) - 1) >>> (entry >>> 8 & 15));
  hold = hold >>> extend(entry);
  bits -= entry & 63;
  entry = i32[((wrap(hold) & 255) << 2) + DISTANCES];
  if (entry & LONGER) {
    if ((entry & 63) > bits) return 1;
    hold = hold >>> extend(entry);
    bits -= entry & 63;
    entry = i32[((entry >>> 16) + (wrap(hold) & (1 << (entry >>> 8 & 15)) - 1) << 2) + DISTANCES];
  }
  if (entry & NONE) return select(bits < 15, 1, -8);
  if ((entry & 63) > bits) return 1;
  let distance = (entry >>> 16) + ((wrap(hold) & (1 << (entry & 63)) - 1) >>> (entry >>> 8 & 15));
  if (distance > to - history) return -9;
  copyMatch(to, distance, to + length);
  leave(at, to + length, hold >>> extend(entry), bits - (entry & 63), CODES);
  return 0;
}

// Reads the head of a block: 1 where it is not all there.
function readHeader(inEnd): i32 {
  let unused = i32[BITS];
  // Counted from one byte before the input: bits of that byte may be unused.
  let base = i32[AT] - 1;
  let bit = 8 - unused;
  let end = inEnd - base << 3;
  if (bit + 3 > end) return 1;
  let head = wrap(bitsAt(base, bit)) & 7;
  let kind = head >>> 1;
  bit += 3;
  if (kind == 3) return -1;
  if (kind == 0) {
    let at = base + (bit + 7 >>> 3);
    if (at + 4 > inEnd) return 1;
    if ((u16[at] ^ u16[at + 2]) != 0xffff) return -2;
    i32[LEFT] = u16[at];
    i32[LAST] = head & 1;
    leave(at + 4, i32[TO], extend(0), 0, STORED);
    return 0;
  }
  if (kind == 1) buildFixed();
  else {
    let behind = readCodes(base, bit, end);
    if (behind == 0) return 1;
    if (behind < 0) return behind;
    bit = behind;
  }
  i32[LAST] = head & 1;
  let next = base + (bit + 7 >>> 3);
  let rest = 0 - bit & 7;
  leave(next, i32[TO], extend(u8[next - 1] >>> 8 - rest), rest, CODES);
  return 0;
}

function copyStored(inEnd, outEnd): i32 {
  let at = i32[AT];
  let to = i32[TO];
  let count = i32[LEFT];
  if (count > inEnd - at) count = inEnd - at;
  if (count > outEnd - to) count = outEnd - to;
  copy(to, at, count);
  i32[AT] = at + count;
  i32[TO] = to + count;
  i32[LEFT] = i32[LEFT] - count;
  if (i32[LEFT] == 0) i32[MODE] = select(i32[LAST], ENDED, HEADER);
  return count == 0 && i32[LEFT] != 0;
}

// Goes on until the input is used up, the output full, a block has ended at stop or further on, or all
// has. The byte before the input must be there, with the bits that are unused of it.
export function run(inEnd, outEnd, history, stop): i32 {
  let status = 0;
  while (1) {
    let mode = i32[MODE];
    if (mode == ENDED) return ${STATUS.ended};
    if (mode == HEADER) {
      if (i32[TO] >= stop) return ${STATUS.boundary};
      status = readHeader(inEnd);
    } else {
      if (i32[TO] >= outEnd) return ${STATUS.output};
      if (mode == STORED) status = copyStored(inEnd, outEnd);
      else if (i32[AT] <= inEnd - 16) status = decodeFast(inEnd, outEnd, history);
      else status = decodeOne(inEnd, history);
    }
    if (status == 1) return ${STATUS.input};
    if (status < 0) return ${STATUS.damaged - 1} - status;
  }
  return 0;
}
`;
