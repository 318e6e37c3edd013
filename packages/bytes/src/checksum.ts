import { crcSummer } from './crc/summer.ts';

/**
 * Continues a checksum over more bytes. `previous` is the checksum of what came before, so that
 * `crc(b, crc(a))` is the checksum of a followed by b. Results are unsigned 32-bit numbers.
 */
export type Checksum = (bytes: Uint8Array, previous?: number) => number;

/** CRC-32C (Castagnoli, RFC 3720 appendix B.4): iSCSI, ext4, EROFS, Btrfs. */
export const crc32c: Checksum = reflectedCrc(0x82f63b78);

/** CRC-32 (ISO-HDLC, RFC 1952 section 8): gzip, zip, PNG. */
export const crc32: Checksum = reflectedCrc(0xedb88320);

/** Adler-32 (RFC 1950 section 8.2): zlib. `previous` of nothing is 1. */
export function adler32(bytes: Uint8Array, previous = 1): number {
  let low = previous & 0xffff;
  let high = previous >>> 16;
  // 3800 is below 5552, the most additions that cannot overflow 32 bits (RFC 1950's NMAX).
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(at + 3800, bytes.length);
    for (; at < end; at++) {
      low += bytes[at]!;
      high += low;
    }
    low %= 65521;
    high %= 65521;
  }
  return ((high << 16) | low) >>> 0;
}

/** Shorter ones are summed here: others have to be copied first. */
const longBytes = 256;

/** A CRC of 32 bits, reflected, inverted at both ends, eight bytes a step ("slicing by 8"). */
function reflectedCrc(polynomial: number): Checksum {
  let tables: Int32Array | undefined;
  let sum: ReturnType<typeof crcSummer>;
  return (bytes, previous = 0) => {
    if (tables === undefined) {
      tables = sliceTables(polynomial);
      sum = crcSummer(tables);
    }
    if (sum === undefined || bytes.length < longBytes) {
      return ~update(tables, ~previous, bytes) >>> 0;
    }
    const whole = bytes.length & ~7;
    const most = sum(~previous, bytes.subarray(0, whole));
    return ~update(tables, most, bytes.subarray(whole)) >>> 0;
  };
}

/** Eight tables of 256 in one array: table k advances a byte over k zero bytes more. */
function sliceTables(polynomial: number): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const shorter = tables[at - 256]!;
    tables[at] = (shorter >>> 8) ^ tables[shorter & 0xff]!;
  }
  return tables;
}

function update(tables: Int32Array, start: number, bytes: Uint8Array): number {
  let crc = start;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    const low =
      crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    crc =
      tables[1792 + (low & 0xff)]! ^
      tables[1536 + ((low >>> 8) & 0xff)]! ^
      tables[1280 + ((low >>> 16) & 0xff)]! ^
      tables[1024 + (low >>> 24)]! ^
      tables[768 + bytes[at + 4]!]! ^
      tables[512 + bytes[at + 5]!]! ^
      tables[256 + bytes[at + 6]!]! ^
      tables[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[at]!) & 0xff]!;
  return crc;
}
