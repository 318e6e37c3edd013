/** Bytes before the end of the output from which on no match begins, and none ends. */
const MATCH_START = 12;
const LAST_LITERALS = 5;
/** Bytes of the input that a distance and the shortest last sequence take. */
const AFTER_LITERALS = 2 + 1 + LAST_LITERALS;
/** Most literals, and most bytes of a match, that a token holds by itself. */
const SHORT_LITERALS = 14;
const SHORT_MATCH = 18;
/** Matches from so far away are copied eight bytes at a time. */
const FAR = 8;

/** What is wrong with the end of a block. */
export interface Lz4EndFault {
  readonly reason: string;
  /** Byte of the block. */
  readonly offset: number;
}

/**
 * Why Linux and liblz4 refuse a block that {@link decodeLz4} takes, or undefined. They copy more bytes than a
 * sequence has, and need room for that: a block ends with at least 5 literals, and its last match begins at least 12
 * bytes before its end. A few blocks that break this slip through, where literals and match both are short.
 * Source: lz4's doc/lz4_Block_format.md, "End of block restrictions"; Linux lib/lz4/lz4_decompress.c.
 *
 * @param block decodes to `decoded` bytes, or more where it is `partial`; of others the answer says nothing
 */
export function lz4EndFault(
  block: Uint8Array,
  decoded: number,
  partial = false,
): Lz4EndFault | undefined {
  const inEnd = block.length;
  let at = 0;
  let to = 0;
  /** Adds up the bytes of a length, the last of which lies before `limit`; -1 where it does not. */
  const lengthBefore = (limit: number): number => {
    let length = 0;
    let more = 255;
    while (more === 255 && at < limit) {
      more = block[at++]!;
      length += more;
    }
    return more === 255 ? -1 : length;
  };
  while (at < inEnd) {
    const offset = at;
    const token = block[at++]!;
    let literals = token >> 4;
    let match = (token & 15) + 4;
    // Where the longest literals and the longest match of a token would fit, nobody looks.
    const isRoomy =
      literals <= SHORT_LITERALS &&
      at + SHORT_LITERALS + 2 < inEnd &&
      to + SHORT_LITERALS + SHORT_MATCH <= decoded;
    if (literals > SHORT_LITERALS) {
      const more = lengthBefore(inEnd - 15);
      if (more < 0) return { reason: 'literals are longer than what is left', offset };
      literals += more;
    }
    at += literals;
    to += literals;
    if (!isRoomy && (to > decoded - MATCH_START || at > inEnd - AFTER_LITERALS)) {
      if (at === inEnd || (partial && to >= decoded)) return undefined;
      if (!partial) return { reason: lateMatch(decoded - to, inEnd - at), offset };
      if (at >= inEnd - 2) return { reason: 'nothing follows the last match', offset };
    }
    const distance = block[at]! | (block[at + 1]! << 8);
    at += 2;
    const isShort = match <= SHORT_MATCH;
    if (!isShort) {
      const more = lengthBefore(inEnd - LAST_LITERALS);
      if (more < 0) return { reason: 'less than 6 bytes follow the length of a match', offset };
      match += more;
    }
    to += match;
    if (isRoomy && isShort && distance >= FAR) continue;
    if (partial) {
      if (to >= decoded) return undefined;
    } else if (to > decoded - LAST_LITERALS) {
      return { reason: `a match ends ${decoded - to} bytes before the end, instead of 5`, offset };
    }
  }
  return undefined;
}

function lateMatch(output: number, input: number): string {
  return output < MATCH_START
    ? `a match begins ${output} bytes before the end, instead of 12`
    : `${input} bytes follow the last literals but one, instead of 8`;
}
