import { distanceBases, distanceExtra, lengthBases, lengthExtra } from './tables.ts';

/** Where the kernel's memory has what it is told, and what it tells, as 32-bit words. */
export const STATE = {
  /** Next byte of the input, and of the output. */
  at: 64,
  to: 68,
  /** What comes next: one of {@link MODE}. */
  mode: 72,
  /** Whether the block under way is the last. */
  last: 76,
  /** Bytes that a stored block still has. */
  left: 80,
  /** Bits of the byte before `at` that are not used, lowest first, and how many: 0 to 7. */
  hold: 84,
  bits: 88,
} as const;

export const MODE = { header: 0, codes: 1, stored: 2, ended: 3 } as const;

/** What `run` gives. From `damaged` on: what is wrong, as {@link damages} words it. */
export const STATUS = { input: 0, output: 1, boundary: 2, ended: 3, damaged: 4 } as const;

export const damages: readonly string[] = [
  'a block is of type 3',
  'a stored block contradicts itself',
  'its code of lengths is none',
  'a length repeats none',
  'there are too many lengths',
  'a block has no end',
  'its code is none',
  'a code is unknown',
  'a match lies further back than there is data',
];

/** The first byte of the memory that is not the kernel's own. */
export const MEMORY_START = 64 * 1024;
/** Bytes that it may write beyond the end of the output, and read beyond that of the input. */
export const OUTPUT_SLACK = 512;
export const INPUT_SLACK = 16;

const STATIC_LITERALS = 1024;
const STATIC_DISTANCES = STATIC_LITERALS + 288 * 4;
const STATIC_CODES = STATIC_DISTANCES + 32 * 4;
const CODE_ORDER = STATIC_CODES + 19 * 4;

const LITERAL = 0x8000_0000;
const BLOCK_END = 0x4000;
const NONE = 0x2000;

/**
 * What symbols stand for, without the lengths of their codes: those are added where a table is made.
 * Bits 0–5: bits in all, 8–11: bits of the code, 13: none, 14: end of the block, 15: a table of longer
 * codes, 16–30: value, 31: literal.
 */
export function writeStaticTables(memory: WebAssembly.Memory): void {
  const bytes = new Uint8Array(memory.buffer);
  const words = new Int32Array(memory.buffer);
  const literals = words.subarray(STATIC_LITERALS / 4);
  for (let symbol = 0; symbol < 288; symbol++) {
    const at = symbol - 257;
    if (symbol < 256) literals[symbol] = LITERAL | (symbol << 16);
    else if (symbol === 256) literals[symbol] = BLOCK_END;
    else literals[symbol] = at > 28 ? NONE : (lengthBases[at]! << 16) | lengthExtra[at]!;
  }
  const distances = words.subarray(STATIC_DISTANCES / 4);
  for (let symbol = 0; symbol < 32; symbol++) {
    distances[symbol] =
      symbol > 29 ? NONE : (distanceBases[symbol]! << 16) | distanceExtra[symbol]!;
  }
  const codes = words.subarray(STATIC_CODES / 4);
  for (let symbol = 0; symbol < 19; symbol++) codes[symbol] = symbol << 16;
  bytes.set([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15], CODE_ORDER);
}

/**
 * DEFLATE, from any bit on, as much as there is input and room for. Between calls only what STATE and
 * the tables hold is kept. Source: RFC 1951.
 */
export const inflateKernel = `
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

const STATIC_LITERALS = ${STATIC_LITERALS};
const STATIC_DISTANCES = ${STATIC_DISTANCES};
const STATIC_CODES = ${STATIC_CODES};
const CODE_ORDER = ${CODE_ORDER};
// Scratch for a table that is made: how many codes have each length, where their symbols go.
const COUNTS = 4096;
const PLACES = 4224;
const SORTED = 4352;
const LENGTHS = 5632;
// Tables with room for the longest codes, of 11 bits at once, 8 and 7.
const LITERALS = 8192;
const DISTANCES = 32768;
const CODES_TABLE = 40960;
const LITERAL_BITS = 11;
const DISTANCE_BITS = 8;
const CODE_BITS = 7;

const BLOCK_END = 0x4000;
const NONE = 0x2000;
const LONGER = 0x8000;
const SPECIAL = 0xe000;

// Makes the table of a code from the lengths of its symbols. 0 where it is no code. As zlib does, one
// that is not complete is taken only where a single symbol has a code of one bit.
function build(table, tableBits, room, lengths, count, statics, allowsOne): i32 {
  set(COUNTS, 0, 64);
  let at = 0;
  let longest = 0;
  while (at < count) {
    let length = u8[lengths + at];
    i32[COUNTS + (length << 2)] = i32[COUNTS + (length << 2)] + 1;
    if (length > longest) longest = length;
    at += 1;
  }
  let left = 1;
  let place = 0;
  let bits = 1;
  while (bits <= 15) {
    left = (left << 1) - i32[COUNTS + (bits << 2)];
    if (left < 0) return 0;
    i32[PLACES + (bits << 2)] = place;
    place += i32[COUNTS + (bits << 2)];
    bits += 1;
  }
  if (left > 0 && (!allowsOne || longest > 1)) return 0;
  at = 0;
  while (at < count) {
    let length = u8[lengths + at];
    if (length != 0) {
      let slot = PLACES + (length << 2);
      u16[SORTED + (i32[slot] << 1)] = at;
      i32[slot] = i32[slot] + 1;
    }
    at += 1;
  }
  let size = 1 << tableBits;
  let limit = table + (size << 2);
  if (left > 0) {
    at = table;
    while (at < limit) {
      i32[at] = NONE;
      at += 4;
    }
  }
  // Codes in their order, each with its lowest bit first.
  let code = 0;
  let prefix = -1;
  let sub = table;
  let subBits = 0;
  let free = size;
  at = 0;
  while (at < place) {
    let symbol = u16[SORTED + (at << 1)];
    let length = u8[lengths + symbol];
    let entry = i32[statics + (symbol << 2)];
    if (length <= tableBits) {
      entry = entry + length * 257;
      let spot = table + (code << 2);
      let step = 4 << length;
      while (spot < limit) {
        i32[spot] = entry;
        spot += step;
      }
    } else {
      if ((code & (size - 1)) != prefix) {
        prefix = code & (size - 1);
        subBits = length - tableBits;
        let spare = 1 << subBits;
        while (subBits + tableBits < longest) {
          spare -= i32[COUNTS + (subBits + tableBits << 2)];
          if (spare <= 0) break;
          subBits += 1;
          spare = spare << 1;
        }
        if (free + (1 << subBits) > room) return 0;
        sub = table + (free << 2);
        i32[table + (prefix << 2)] = free << 16 | LONGER | subBits << 8 | tableBits;
        free += 1 << subBits;
      }
      entry = entry + (length - tableBits) * 257;
      let spot = sub + (code >>> tableBits << 2);
      let end = sub + (4 << subBits);
      let step = 4 << length - tableBits;
      while (spot < end) {
        i32[spot] = entry;
        spot += step;
      }
      i32[COUNTS + (length << 2)] = i32[COUNTS + (length << 2)] - 1;
    }
    // One more, counted from the other end.
    let bit = 1 << length - 1;
    while (code & bit) bit = bit >>> 1;
    code = code & bit - 1 | bit;
    at += 1;
  }
  return 1;
}

function buildFixed() {
  set(LENGTHS, 8, 144);
  set(LENGTHS + 144, 9, 112);
  set(LENGTHS + 256, 7, 24);
  set(LENGTHS + 280, 8, 8);
  build(LITERALS, LITERAL_BITS, 4096, LENGTHS, 288, STATIC_LITERALS, 0);
  set(LENGTHS, 5, 32);
  build(DISTANCES, DISTANCE_BITS, 2048, LENGTHS, 32, STATIC_DISTANCES, 0);
}

// Bits from a place on, the first at the bottom: where it is 57 or fewer.
inline function bitsAt(base, bit): i64 {
  return i64[base + (bit >>> 3)] >>> extend(bit & 7);
}

// Reads the codes of a block, from a bit on that is counted from base. Gives the bit behind them, 0
// where the input ends before, or less where they are wrong.
function readCodes(base, bit, end): i32 {
  if (bit + 14 > end) return 0;
  let head = wrap(bitsAt(base, bit));
  let literals = (head & 31) + 257;
  let distances = (head >>> 5 & 31) + 1;
  let codes = (head >>> 10 & 15) + 4;
  bit += 14;
  if (bit + codes * 3 > end) return 0;
  set(LENGTHS, 0, 19);
  let index = 0;
  while (index < codes) {
    u8[LENGTHS + u8[CODE_ORDER + index]] = wrap(bitsAt(base, bit)) & 7;
    bit += 3;
    index += 1;
  }
  if (!build(CODES_TABLE, CODE_BITS, 128, LENGTHS, 19, STATIC_CODES, 0)) return -3;
  let total = literals + distances;
  index = 0;
  while (index < total) {
    let ahead = wrap(bitsAt(base, bit));
    let entry = i32[CODES_TABLE + ((ahead & 127) << 2)];
    bit += entry & 63;
    if (bit > end) return 0;
    let symbol = entry >>> 16;
    if (symbol < 16) {
      u8[LENGTHS + index] = symbol;
      index += 1;
      continue;
    }
    ahead = ahead >>> (entry & 63);
    let value = 0;
    let count = (ahead & 127) + 11;
    let used = 7;
    if (symbol == 16) {
      if (index == 0) return -4;
      value = u8[LENGTHS + index - 1];
    }
    if (symbol < 18) {
      count = (ahead & select(symbol == 16, 3, 7)) + 3;
      used = select(symbol == 16, 2, 3);
    }
    bit += used;
    if (bit > end) return 0;
    if (index + count > total) return -5;
    set(LENGTHS + index, value, count);
    index += count;
  }
  if (u8[LENGTHS + 256] == 0) return -6;
  if (!build(DISTANCES, DISTANCE_BITS, 2048, LENGTHS + literals, distances, STATIC_DISTANCES, 1)) return -7;
  if (!build(LITERALS, LITERAL_BITS, 4096, LENGTHS, literals, STATIC_LITERALS, 1)) return -7;
  return bit;
}

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
