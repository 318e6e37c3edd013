const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;
const PRIME_3 = 0xc2b2ae3d;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

/** XXH32 as an unsigned number. Source: xxHash's specification, "XXH32 algorithm description". */
export function xxh32(bytes: Uint8Array, seed = 0): number {
  let at = 0;
  let hash: number;
  if (bytes.length >= 16) {
    let first = (seed + PRIME_1 + PRIME_2) | 0;
    let second = (seed + PRIME_2) | 0;
    let third = seed | 0;
    let fourth = (seed - PRIME_1) | 0;
    for (; at + 16 <= bytes.length; at += 16) {
      first = mixed(first, word(bytes, at));
      second = mixed(second, word(bytes, at + 4));
      third = mixed(third, word(bytes, at + 8));
      fourth = mixed(fourth, word(bytes, at + 12));
    }
    // Each sum has 32 bits again: engines compile what stays an integer.
    hash = (rotate(first, 1) + rotate(second, 7)) | 0;
    hash = (hash + rotate(third, 12)) | 0;
    hash = (hash + rotate(fourth, 18)) | 0;
  } else {
    hash = (seed + PRIME_5) | 0;
  }
  hash = (hash + bytes.length) | 0;
  for (; at + 4 <= bytes.length; at += 4) {
    hash = Math.imul(rotate((hash + Math.imul(word(bytes, at), PRIME_3)) | 0, 17), PRIME_4);
  }
  for (; at < bytes.length; at++) {
    hash = Math.imul(rotate((hash + Math.imul(bytes[at]!, PRIME_5)) | 0, 11), PRIME_1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mixed(lane: number, word: number): number {
  return Math.imul(rotate((lane + Math.imul(word, PRIME_2)) | 0, 13), PRIME_1);
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
