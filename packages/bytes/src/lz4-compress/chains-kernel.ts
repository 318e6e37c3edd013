import { KERNEL_RESULT, KERNEL_TABLES, sequenceKernel } from './sequence-kernel.ts';

const HASH_BITS = 15;
/** By the hash of four bytes the last place with it; by the low 16 bits of a place the one before. */
const HEADS = KERNEL_TABLES;
const HEADS_SIZE = 2 ** HASH_BITS * 2;
const BEFORE = HEADS + HEADS_SIZE;

/** Candidates looked at, for levels 3 to 12. */
const depths = [3, 5, 8, 12, 16, 24, 40, 64, 128, 256];
/** Rooms beyond are searched for twice as long, those beyond four times it for four times as long. */
const SMALL_ROOM = 8192;
/** A match of so many bytes is taken without a look at others. */
const LONG_ENOUGH = 128;

/**
 * Looks at many candidates for a match, and then, from its end, for a longer one that overlaps it:
 * that one takes the place of the first, or the first ends where it begins.
 *
 * Places are kept as the low 16 bits of their way from the start of the block, plus one; 0 is none.
 */
export const chainsKernel = (level: number): string => `${sequenceKernel}
const HEADS = ${HEADS};
const BEFORE = ${BEFORE};
// What search leaves: where the match begins, and how far back its bytes are.
const FOUND = ${KERNEL_RESULT + 4};
const FOUND_DISTANCE = ${KERNEL_RESULT + 8};
// What put leaves.
const TAKEN = ${KERNEL_RESULT + 12};

// Enters the places from at on, before end. Returns end, or at.
inline function enter(at, end, start): i32 {
  while (at < end) {
    let head = HEADS + ((i32[at] * 0x9e3779b1) >>> ${32 - HASH_BITS} << 1);
    let place = at - start;
    u16[BEFORE + ((place & 0xffff) << 1)] = u16[head];
    u16[head] = place + 1;
    at += 1;
  }
  return at;
}

// The longest match around at, not before low, if it is longer than best. Returns its length or best.
inline function search(at, low, best, start, matchEnd, tries): i32 {
  let four = i32[at];
  let next = at - start + 1;
  let distance = 0;
  let entry = u16[BEFORE + ((next - 1 & 0xffff) << 1)];
  // Where a longer match goes on at least.
  let last = low + best - 1;
  let wanted = u16[last];
  while (tries > 0) {
    let farther = (next - entry) & 0xffff;
    // None, or one that something newer has taken the place of.
    if (entry == 0 || farther <= distance) return best;
    distance = farther;
    // An entry is a place plus one: it leads to the one before without a detour by the distance.
    entry = u16[(entry << 1) + ${BEFORE - 2}];
    if (u16[last - distance] == wanted && i32[at - distance] == four) {
      let length = matchLength(at, distance, matchEnd);
      // It may begin earlier: eight bytes are compared at once.
      let reach = select(at - distance - start < at - low, at - distance - start, at - low);
      let back = 0;
      while (back < reach) {
        let difference: i64 = i64[at - back - 8] ^ i64[at - back - distance - 8];
        let same = wrap(clz(difference)) >> 3;
        back += same;
        if (same < 8) break;
      }
      if (back > reach) back = reach;
      length += back;
      if (length > best) {
        best = length;
        i32[FOUND] = at - back;
        i32[FOUND_DISTANCE] = distance;
        if (length >= ${LONG_ENOUGH}) return best;
        last = low + best - 1;
        wanted = u16[last];
      }
    }
    tries -= 1;
  }
  return best;
}

// Writes a match, or as much of it as fits. Returns the end, or 0; in TAKEN how many bytes were.
function put(to, anchor, at, length, distance, limit): i32 {
  let fits = length;
  if (to + at - anchor + (at - anchor >> 7) + (length >> 7) + 20 > limit) {
    fits = fitting(limit - to, at - anchor, length);
  }
  i32[TAKEN] = fits;
  if (fits == 0) return 0;
  return putSequence(to, anchor, at - anchor, fits, distance);
}

export function fill(start, end, target, room): i32 {
  let limit = target + room;
  let lastStart = end - LAST_MATCH_START;
  let matchEnd = end - LAST_LITERALS;
  // There is more to choose from in larger blocks.
  let depth = ${depths[level - 3]} << (room > ${SMALL_ROOM}) << (room > ${4 * SMALL_ROOM});
  let anchor = start;
  let to = target;
  let at = start;
  let entered = start;
  let stop = select(room < lastStart - start, start + room, lastStart);
  let full = 0;
  set(HEADS, 0, ${HEADS_SIZE});
  while (at <= stop && full == 0) {
    entered = enter(entered, at + 1, start);
    let length = search(at, at, MATCH_MIN - 1, start, matchEnd, depth);
    if (length < MATCH_MIN) {
      // Where nothing is found for long, less is looked for.
      at += 1 + (at - anchor >> 6);
      continue;
    }
    let distance = i32[FOUND_DISTANCE];
    // The match before, which ends where this one begins, and one that this one took the place of.
    let before = 0;
    let beforeLength = 0;
    let beforeDistance = 0;
    let first = 0;
    let firstLength = 0;
    let firstDistance = 0;
    let open = 1;
    while (open && full == 0) {
      // A match is at hand: what overlaps it?
      let next = 0;
      let nextLength = length;
      let nextDistance = 0;
      let ahead = at + length - 2;
      if (length < ${LONG_ENOUGH} && ahead <= lastStart) {
        entered = enter(entered, ahead + 1, start);
        nextLength = search(ahead, at, length, start, matchEnd, depth);
        next = i32[FOUND];
        nextDistance = i32[FOUND_DISTANCE];
      }
      open = nextLength > length;
      if (open) {
        if (firstLength && next <= first + firstLength) {
          at = first;
          length = firstLength;
          distance = firstDistance;
        }
        // What the match has to itself, between those before and behind it.
        let own = select(before + beforeLength > at, before + beforeLength, at);
        if (next - own < MATCH_MIN) {
          first = at;
          firstLength = select(own == at, length, 0);
          firstDistance = distance;
          at = next;
          length = nextLength;
          distance = nextDistance;
          continue;
        }
      }
      firstLength = 0;
      if (beforeLength) {
        // Up to 18 bytes take no more room than fewer.
        let cut = at - before;
        if (cut < beforeLength) {
          let longer = select(beforeLength < MATCH_MIN + 14, beforeLength, MATCH_MIN + 14);
          if (longer > cut + length - MATCH_MIN) longer = cut + length - MATCH_MIN;
          if (longer > lastStart - before) longer = lastStart - before;
          if (longer > cut) {
            at += longer - cut;
            length -= longer - cut;
            cut = longer;
          }
          beforeLength = cut;
        }
        let ends = put(to, anchor, before, beforeLength, beforeDistance, limit);
        full = i32[TAKEN] < beforeLength;
        if (ends) {
          to = ends;
          anchor = before + i32[TAKEN];
        }
      }
      before = at;
      beforeLength = length;
      beforeDistance = distance;
      at = next;
      length = nextLength;
      distance = nextDistance;
    }
    if (full) break;
    let last = put(to, anchor, before, beforeLength, beforeDistance, limit);
    full = i32[TAKEN] < beforeLength;
    if (last) {
      to = last;
      anchor = before + i32[TAKEN];
    }
    at = anchor;
    stop = select(limit - to < lastStart - anchor, anchor + limit - to, lastStart);
  }
  return finish(to, anchor, end, target, limit, start);
}
`;
