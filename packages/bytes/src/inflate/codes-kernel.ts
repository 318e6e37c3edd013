import { CODE_ORDER, STATIC_CODES, STATIC_DISTANCES, STATIC_LITERALS } from './layout.ts';

/** The part of the kernel that makes tables of codes: from lengths, and from the head of a block. */
export const codesKernel: string = `
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
`;
