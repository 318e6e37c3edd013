/**
 * Added to the numbers of inodes that lie in the metabox, whose highest bit of 64 is set in images. Real ones are far
 * smaller.
 */
export const IN_METABOX = 2 ** 52;

/** A nid of the image as a number. */
export function nidOf(low: number, high: number): number {
  // What is too large for a nid is too large for any image: it is refused when it is used.
  const nid = Math.min((high & 0x7fffffff) * 2 ** 32 + low, IN_METABOX - 1);
  return high >= 0x80000000 ? nid + IN_METABOX : nid;
}

/** The high one of the two words that {@link nidOf} takes; the low one is what is left of 2^32. */
export function highOfNid(nid: number): number {
  const inside = Math.floor((nid % IN_METABOX) / 2 ** 32);
  return nid < IN_METABOX ? inside : inside + 0x80000000;
}

/** As a field of 64 bits. */
export function nidField(nid: number): bigint {
  return (BigInt(highOfNid(nid)) << 32n) + BigInt(nid % 2 ** 32);
}
