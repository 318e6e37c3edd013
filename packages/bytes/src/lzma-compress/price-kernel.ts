import {
  ALIGN,
  LITERAL_SIZE,
  LITERALS,
  MATCH_LENGTH,
  POSITION_STATES,
  REPEAT_LENGTH,
  SLOTS,
  SPECIAL,
} from '../lzma/layout.ts';
import { LENGTH_MAX } from './memory.ts';

/**
 * What symbols cost, in sixteenths of a bit. Those of lengths and distances are kept in tables, which
 * are made anew now and then.
 */
export const priceKernel = (properties: {
  readonly literalContext: number;
  readonly literalPosition: number;
  readonly positionBits: number;
}): string => `
inline function bitPrice(index, bit): i32 {
  return u16[BIT_PRICES + (((u16[PROBABILITIES + (index << 1)] ^ (0 - bit & 2047)) >> 4) << 1)];
}

// Of the literal at a place of the stream, behind a byte.
inline function literalBase(place, before): i32 {
  return ${LITERALS} + ${LITERAL_SIZE} * (
    ((place & ${2 ** properties.literalPosition - 1}) << ${properties.literalContext}) +
    (before >> ${8 - properties.literalContext})
  );
}

// Of a byte; matched is the byte at the last distance, or -1 behind a literal.
function literalPrice(place, before, byte, matched): i32 {
  let base = literalBase(place, before);
  let symbol = byte | 256;
  let price = 0;
  if (matched < 0) {
    while (symbol > 1) {
      let bit = symbol & 1;
      symbol = symbol >> 1;
      price += bitPrice(base + symbol, bit);
    }
    return price;
  }
  let offset = 256;
  while (symbol < 65536) {
    matched = matched << 1;
    price += bitPrice(base + offset + (matched & offset) + (symbol >> 8), symbol >> 7 & 1);
    symbol = symbol << 1;
    offset = offset & ~(matched ^ symbol);
  }
  return price;
}

function treePrice(base, bits, value): i32 {
  let symbol = 1;
  let price = 0;
  while (bits > 0) {
    bits -= 1;
    let bit = value >>> bits & 1;
    price += bitPrice(base + symbol, bit);
    symbol = symbol << 1 | bit;
  }
  return price;
}

function reversePrice(base, bits, value): i32 {
  let symbol = 1;
  let price = 0;
  while (bits > 0) {
    bits -= 1;
    let bit = value & 1;
    price += bitPrice(base + symbol, bit);
    symbol = symbol << 1 | bit;
    value = value >>> 1;
  }
  return price;
}

// Prices of lengths from 2 to longest, for matches or repeats.
function lengthPrices(base, to, longest) {
  let position = 0;
  let none = bitPrice(base, 0);
  let some = bitPrice(base, 1);
  let middle = some + bitPrice(base + 1, 0);
  let high = some + bitPrice(base + 1, 1);
  while (position < ${2 ** properties.positionBits}) {
    let length = 0;
    while (length <= longest - 2) {
      let price = 0;
      if (length < 8) price = none + treePrice(base + 2 + position * 8, 3, length);
      else if (length < 16) {
        price = middle + treePrice(base + ${2 + POSITION_STATES * 8} + position * 8, 3, length - 8);
      } else {
        price = high + treePrice(base + ${2 + 2 * POSITION_STATES * 8}, 8, length - 16);
      }
      u16[to + (position * ${LENGTH_MAX} + length << 1)] = price;
      length += 1;
    }
    position += 1;
  }
}

inline function slotOf(distance): i32 {
  let bits = 31 - clz(distance | 1);
  return select(below(distance, 4), distance, bits << 1 | distance >>> (bits - 1 & 31) & 1);
}

// Prices of distances less one below 128, slots of larger ones, and the low bits of those.
function distancePrices(slots) {
  let kind = 0;
  while (kind < 4) {
    let slot = 0;
    while (slot < slots) {
      let price = treePrice(${SLOTS} + kind * 64, 6, slot);
      if (slot >= 14) price += (slot >> 1) - 5 << 4;
      i32[SLOT_PRICES + (kind * 64 + slot << 2)] = price;
      slot += 1;
    }
    let distance = 0;
    while (distance < 128) {
      slot = slotOf(distance);
      let price = i32[SLOT_PRICES + (kind * 64 + slot << 2)];
      if (slot >= 4) {
        let bits = (slot >> 1) - 1;
        let base = (2 | slot & 1) << bits;
        price += reversePrice(${SPECIAL} + base - slot, bits, distance - base);
      }
      i32[DISTANCE_PRICES + (kind * 128 + distance << 2)] = price;
      distance += 1;
    }
    kind += 1;
  }
  let low = 0;
  while (low < 16) {
    i32[ALIGN_PRICES + (low << 2)] = reversePrice(${ALIGN}, 4, low);
    low += 1;
  }
}

inline function lengthKind(length): i32 {
  return select(length < 5, length - 2, 3);
}

// Of a distance less one with a length.
inline function distancePrice(distance, length): i32 {
  let price = 0;
  if (below(distance, 128)) price = i32[DISTANCE_PRICES + (lengthKind(length) * 128 + distance << 2)];
  else {
    price = i32[SLOT_PRICES + (lengthKind(length) * 64 + slotOf(distance) << 2)];
    price += i32[ALIGN_PRICES + ((distance & 15) << 2)];
  }
  return price;
}

inline function lengthPrice(repeated, position, length): i32 {
  let set = repeated * ${POSITION_STATES} + position;
  return u16[LENGTH_PRICES + (set * ${LENGTH_MAX} + length - 2 << 1)];
}

function makePrices(longest, slots) {
  lengthPrices(${MATCH_LENGTH}, LENGTH_PRICES, longest);
  lengthPrices(${REPEAT_LENGTH}, LENGTH_PRICES + ${POSITION_STATES * LENGTH_MAX * 2}, longest);
  distancePrices(slots);
}
`;
