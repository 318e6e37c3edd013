/** Orders by the first byte that differs, then by length. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const end = Math.min(a.length, b.length);
  for (let at = 0; at < end; at++) if (a[at] !== b[at]) return a[at]! - b[at]!;
  return a.length - b.length;
}

/** The same of two ranges of some bytes. */
export function compareRanges(
  bytes: Uint8Array,
  start: number,
  end: number,
  otherStart: number,
  otherEnd: number,
): number {
  let other = otherStart;
  for (let at = start; at < end && other < otherEnd; at++, other++) {
    if (bytes[at] !== bytes[other]) return bytes[at]! - bytes[other]!;
  }
  return end - start - (otherEnd - otherStart);
}
