import type { Ipv4 } from './address.ts';

/**
 * Adds the 16-bit words of a range to a sum that is not yet folded (RFC 1071). A last odd byte counts as
 * if a zero followed.
 */
export function addWords(sum: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
  let total = sum;
  let at = start;
  for (; at + 1 < end; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  return at < end ? total + (bytes[at]! << 8) : total;
}

/** The sum as 16 bits, carries added. Sums stay exact up to 2^53: no range is so long. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return folded;
}

/** The Internet checksum of a range: 0 where the range holds its own, right, checksum. */
export function checksum(bytes: Uint8Array, start = 0, end = bytes.length, sum = 0): number {
  return ~fold(addWords(sum, bytes, start, end)) & 0xffff;
}

/** The words of TCP's and UDP's pseudo header (RFC 9293, 3.1). */
export function pseudoHeader(
  source: Ipv4,
  destination: Ipv4,
  protocol: number,
  length: number,
): number {
  const words = [source >>> 16, source & 0xffff, destination >>> 16, destination & 0xffff];
  return words.reduce((sum, word) => sum + word, protocol + length);
}
