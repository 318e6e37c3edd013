import {
  HASH_2_BITS,
  HASH_3_BITS,
  HEADS_2,
  HEADS_3,
  HEADS_4,
  hashBits,
  treesStart,
} from './memory.ts';

/**
 * Finds earlier places with the same bytes: by hashes of two and three bytes the last one, by a hash of
 * four a binary tree, sorted by what follows, whose root is the last place. Places count from 1.
 */
export const finderKernel = (windowBits: number): string => `
inline function matchLength(at, other, length, most): i32 {
  while (length + 8 <= most) {
    let difference: i64 = i64[at + length] ^ i64[other + length];
    if (difference != 0) return length + (wrap(ctz(difference)) >> 3);
    length += 8;
  }
  while (length < most && u8[at + length] == u8[other + length]) length += 1;
  return length;
}

function clearFinder() {
  set(${HEADS_2}, 0, ${treesStart(windowBits) - HEADS_2});
}

inline function addMatch(count, length, distance): i32 {
  i32[MATCHES + (count << 3)] = length;
  i32[MATCHES + 4 + (count << 3)] = distance;
  return count + 1;
}

// Enters a place, and lists matches with rising lengths up to most and rising distances less one.
function find(at, start, most, depth): i32 {
  if (most < 4) return 0;
  let place = at - start + 1;
  let bytes = i32[at];
  let head2 = ${HEADS_2} + ((((bytes & 0xffff) * 0x9e3779b1) >>> ${32 - HASH_2_BITS}) << 2);
  let head3 = ${HEADS_3} + ((((bytes & 0xffffff) * 0x9e3779b1) >>> ${32 - HASH_3_BITS}) << 2);
  let head4 = ${HEADS_4} + (((bytes * 0x9e3779b1) >>> ${32 - hashBits(windowBits)}) << 2);
  let near2 = place - i32[head2];
  let near3 = place - i32[head3];
  let other = i32[head4];
  i32[head2] = place;
  i32[head3] = place;
  i32[head4] = place;
  let count = 0;
  let best = 1;
  if (near2 < place && near2 < ${2 ** windowBits} && u16[at - near2] == (bytes & 0xffff)) {
    best = matchLength(at, at - near2, 2, most);
    count = addMatch(count, best, near2 - 1);
  }
  if (near3 != near2 && near3 < place && near3 < ${2 ** windowBits} && best < most) {
    if (((i32[at - near3] ^ bytes) & 0xffffff) == 0) {
      let length = matchLength(at, at - near3, 3, most);
      if (length > best) {
        best = length;
        count = addMatch(count, length, near3 - 1);
      }
    }
  }
  let smaller = ${treesStart(windowBits)} + ((place & ${2 ** windowBits - 1}) << 3);
  let larger = smaller + 4;
  let smallerLength = 0;
  let largerLength = 0;
  while (other != 0 && place - other < ${2 ** windowBits} && depth > 0) {
    depth -= 1;
    let pair = ${treesStart(windowBits)} + ((other & ${2 ** windowBits - 1}) << 3);
    let there = start + other - 1;
    let length = select(smallerLength < largerLength, smallerLength, largerLength);
    length = matchLength(at, there, length, most);
    if (length > best) {
      best = length;
      count = addMatch(count, length, place - other - 1);
    }
    if (length == most) {
      i32[smaller] = i32[pair];
      i32[larger] = i32[pair + 4];
      return count;
    }
    if (u8[there + length] < u8[at + length]) {
      i32[smaller] = other;
      smaller = pair + 4;
      other = i32[smaller];
      smallerLength = length;
    } else {
      i32[larger] = other;
      larger = pair;
      other = i32[larger];
      largerLength = length;
    }
  }
  i32[smaller] = 0;
  i32[larger] = 0;
  return count;
}
`;
