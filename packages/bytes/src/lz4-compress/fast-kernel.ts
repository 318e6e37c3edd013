import { KERNEL_TABLES, sequenceKernel } from './sequence-kernel.ts';

/** Bytes of the table of {@link fastKernel}. */
const TABLE_SIZE = 2 ** 13 * 2;

/**
 * Greedy: the last place whose five bytes have the same hash is the only candidate. Places are kept
 * as the low 16 bits of their way from the start of the block, as far as matches reach; the table is
 * small enough to be cleared for each block, so that whatever it holds lies in the block.
 */
export const fastKernel = `${sequenceKernel}
const TABLE = ${KERNEL_TABLES};

inline function slotOf(bytes: i64): i32 {
  return wrap(((bytes << 24) * 0xcf1bbcdcb7) >>> 51) << 1;
}

export function fill(start, end, target, room): i32 {
  let limit = target + room;
  let lastStart = end - LAST_MATCH_START;
  let matchEnd = end - LAST_LITERALS;
  let anchor = start;
  let to = target;
  let at = start + 1;
  // After 64 misses in a row steps grow by one byte.
  let misses = 64;
  let stop = select(room < lastStart - start, start + room, lastStart);
  set(TABLE, 0, ${TABLE_SIZE});
  while (at <= stop) {
    let bytes: i64 = i64[at];
    let slot = slotOf(bytes);
    let distance = (at - start - u16[slot + TABLE]) & 0xffff;
    u16[slot + TABLE] = at - start;
    if (i32[at - distance] != wrap(bytes) || distance == 0) {
      at += misses >> 6;
      misses += 1;
      continue;
    }
    while (at > anchor && at - distance > start && u8[at - 1] == u8[at - distance - 1]) at -= 1;
    let length = matchLength(at, distance, matchEnd);
    let fits = length;
    if (to + at - anchor + (at - anchor >> 7) + (length >> 7) + 20 > limit) {
      fits = fitting(limit - to, at - anchor, length);
      if (fits == 0) break;
    }
    to = putSequence(to, anchor, at - anchor, fits, distance);
    at += fits;
    anchor = at;
    if (fits < length) break;
    misses = 64;
    stop = select(limit - to < lastStart - anchor, anchor + limit - to, lastStart);
    u16[slotOf(i64[at - 2]) + TABLE] = at - 2 - start;
  }
  return finish(to, anchor, end, target, limit, start);
}
`;
