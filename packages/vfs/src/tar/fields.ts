import { decodeName, encodeName } from '@anole/bytes';
import { TarError } from './errors.ts';
import { BLOCK, type Field, header } from './layout.ts';

/** The bytes of a text field up to its NUL, where it has one. Aliases the block. */
export function fieldBytes(block: Uint8Array, [offset, length]: Field): Uint8Array {
  const end = block.indexOf(0, offset);
  return block.subarray(offset, end < 0 ? offset + length : Math.min(end, offset + length));
}

export function textField(block: Uint8Array, field: Field): string {
  const [offset, length] = field;
  if (block[offset] === 0) return '';
  let text = '';
  for (let at = offset; at < offset + length; at++) {
    const byte = block[at]!;
    if (byte === 0) break;
    if (byte >= 0x80) return decodeName(fieldBytes(block, field));
    text += String.fromCharCode(byte);
  }
  return text;
}

/**
 * A number: octal digits between spaces and NULs, or GNU's base 256 (first byte 0x80 for positive,
 * 0xff for negative). Absent reads as 0.
 *
 * @throws TarError `TAR_BAD_NUMBER` for other bytes, and for what is no safe integer.
 */
export function numberField(block: Uint8Array, field: Field): number {
  const value = readNumber(block, field);
  if (value === undefined) throw badNumber(block, field);
  return value;
}

function readNumber(block: Uint8Array, [offset, length]: Field): number | undefined {
  const first = block[offset]!;
  if (first & 0x80) return base256(block, offset, length);
  let value = 0;
  let at = offset;
  const end = offset + length;
  while (at < end && block[at] === 0x20) at++;
  for (; at < end; at++) {
    const digit = block[at]! - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  for (; at < end && block[at] !== 0; at++) {
    if (block[at] !== 0x20) return undefined;
  }
  return value;
}

/** As {@link numberField}, within [0, limit]. */
export function countField(block: Uint8Array, field: Field, limit: number): number {
  const value = numberField(block, field);
  if (value < 0 || value > limit) throw badNumber(block, field);
  return value;
}

function base256(block: Uint8Array, offset: number, length: number): number | undefined {
  const negative = (block[offset]! & 0x40) !== 0;
  let value = negative ? -1 : 0;
  // Of the first byte the top bit only marks the format; the next one is the sign.
  value = value * 64 + (block[offset]! & 0x3f);
  for (let at = offset + 1; at < offset + length; at++) {
    value = value * 256 + block[at]!;
    if (!Number.isSafeInteger(value)) return undefined;
  }
  return value;
}

function badNumber(block: Uint8Array, [offset, length]: Field): TarError {
  const met = Array.from(block.subarray(offset, offset + length), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join(' ');
  return new TarError('TAR_BAD_NUMBER', `Cannot read a number of a tar header: bytes ${met}`, {
    details: { field: offset },
  });
}

/** True for the sum of the header's bytes, taken as unsigned or (old tars) as signed. */
export function checksumMatches(block: Uint8Array): boolean {
  const stored = readNumber(block, header.checksum);
  const [start, length] = header.checksum;
  let unsigned = 0x20 * length;
  let high = 0;
  for (let at = 0; at < start; at++) {
    unsigned += block[at]!;
    high += block[at]! >> 7;
  }
  for (let at = start + length; at < BLOCK; at++) {
    unsigned += block[at]!;
    high += block[at]! >> 7;
  }
  return stored === unsigned || stored === unsigned - 256 * high;
}

export function putText(block: Uint8Array, [offset, length]: Field, text: string): void {
  block.set(encodeName(text).subarray(0, length), offset);
}

/** Writes `length - 1` octal digits and a NUL. False where the value does not fit. */
export function putNumber(block: Uint8Array, [offset, length]: Field, value: number): boolean {
  const fits = value >= 0 && value < 8 ** (length - 1);
  let rest = fits ? value : 0;
  for (let at = offset + length - 2; at >= offset; at--) {
    block[at] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
  return fits;
}

/** Sets the checksum of a header that is complete otherwise: six digits, NUL, space. */
export function putChecksum(block: Uint8Array): void {
  const [start, length] = header.checksum;
  block.fill(0x20, start, start + length);
  let sum = 0;
  for (let at = 0; at < BLOCK; at++) sum += block[at]!;
  putNumber(block, [start, length - 1], sum);
}
