/** Bytes of memory where a kernel leaves what it does not return. */
export const KERNEL_RESULT = 16;
/** Tables of a kernel begin at this byte of its memory. */
export const KERNEL_TABLES = 1024;

/**
 * What both LZ4 kernels do: one sequence, and the end of a block.
 * Source: lz4 doc/lz4_Block_format.md.
 */
export const sequenceKernel = `
// Where fill leaves how many bytes it took.
const RESULT = ${KERNEL_RESULT};
const MATCH_MIN = 4;
// A block ends with so many literals at least.
const LAST_LITERALS = 5;
// The last match begins so many bytes before the end at least.
const LAST_MATCH_START = 12;

// Bytes after the token for a length of literals, or of a match less four.
inline function lengthBytes(length): i32 {
  if (length < 15) return 0;
  return (length - 15) / 255 + 1;
}

// Literals that fit into room bytes behind a token, their length bytes counted.
function literalsIn(room): i32 {
  if (room < 15) return room;
  let literals = room - lengthBytes(room);
  while (literals + 1 + lengthBytes(literals + 1) <= room) literals += 1;
  return literals;
}

// Literals that must follow a match when nothing else does.
inline function literalsAfter(length): i32 {
  return select(length < LAST_MATCH_START - LAST_LITERALS, LAST_MATCH_START - length, LAST_LITERALS);
}

function putLength(to, length): i32 {
  while (length >= 255) {
    u8[to] = 255;
    to += 1;
    length -= 255;
  }
  u8[to] = length;
  return to + 1;
}

// Writes literals from anchor on behind their token, to 16 bytes beyond. Returns their end.
inline function putLiterals(to, anchor, literals): i32 {
  let begin = to + 1;
  if (literals < 15) u8[to] = literals << 4;
  else {
    u8[to] = 240;
    begin = putLength(begin, literals - 15);
  }
  copy16(begin, anchor);
  let done = 16;
  while (done < literals) {
    copy16(begin + done, anchor + done);
    done += 16;
  }
  return begin + literals;
}

// Writes a sequence of literals and a match. Returns its end.
inline function putSequence(to, anchor, literals, length, distance): i32 {
  let more = length - MATCH_MIN;
  let end = putLiterals(to, anchor, literals);
  u16[end] = distance;
  if (more < 15) {
    u8[to] = u8[to] | more;
    return end + 2;
  }
  u8[to] = u8[to] | 15;
  return putLength(end + 2, more - 15);
}

// Ends a block with as many literals as fit. Returns the bytes of the block.
function finish(to, anchor, end, target, limit, start): i32 {
  let literals = literalsIn(limit - to - 1);
  if (literals > end - anchor) literals = end - anchor;
  if (literals < 0) {
    i32[RESULT] = 0;
    return 0;
  }
  i32[RESULT] = anchor + literals - start;
  return putLiterals(to, anchor, literals) - target;
}

// Bytes from at on that are as those so far away, of which the first four are.
inline function matchLength(at, away, end): i32 {
  let here = at + MATCH_MIN;
  while (here + 8 <= end) {
    let difference: i64 = i64[here] ^ i64[here - away];
    if (difference != 0) return here + (wrap(ctz(difference)) >> 3) - at;
    here += 8;
  }
  while (here < end && u8[here] == u8[here - away]) here += 1;
  return here - at;
}

// Of a match the length that fits into room, with what must follow it, or 0.
function fitting(room, literals, length): i32 {
  let left = room - (1 + lengthBytes(literals) + literals + 2) - 1;
  if (lengthBytes(length - MATCH_MIN) + literalsAfter(length) <= left) return length;
  let bytes = left - LAST_LITERALS;
  if (bytes < 0) return 0;
  // Each length byte but the last stands for 255 more.
  let fits = MATCH_MIN + 14;
  if (bytes > 0) fits = MATCH_MIN + 15 + 255 * bytes - 1;
  if (fits > length) fits = length;
  let tries = 8;
  while (fits >= MATCH_MIN && tries > 0) {
    if (lengthBytes(fits - MATCH_MIN) + literalsAfter(fits) <= left) return fits;
    fits -= 1;
    tries -= 1;
  }
  return 0;
}
`;
