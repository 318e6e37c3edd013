import { decodeName } from '@anole/bytes';
import type { Timestamp } from '../tree.ts';
import { TarError } from './errors.ts';

/** One record of a PAX header, in the order of the file. `value` aliases the header's bytes. */
export interface PaxRecord {
  readonly key: string;
  readonly value: Uint8Array;
}

/**
 * Splits the body of a PAX header: records of "length key=value\n". POSIX.1-2017, pax, "pax
 * Header Block".
 *
 * @throws TarError `TAR_BAD_PAX`
 */
export function parsePax(bytes: Uint8Array): PaxRecord[] {
  const records: PaxRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    // Some writers pad the last record with NULs up to the size in the header.
    if (bytes[at] === 0) break;
    let length = 0;
    let digit = at;
    for (; digit < bytes.length && digit - at < 10; digit++) {
      const value = bytes[digit]! - 0x30;
      if (value < 0 || value > 9) break;
      length = length * 10 + value;
    }
    const end = at + length;
    const equals = bytes.indexOf(0x3d, digit + 1);
    if (
      digit === at ||
      bytes[digit] !== 0x20 ||
      end > bytes.length ||
      bytes[end - 1] !== 0x0a ||
      equals <= digit + 1 ||
      equals >= end
    ) {
      throw new TarError('TAR_BAD_PAX', `Cannot read a PAX header: bad record at byte ${at}`, {
        details: { offset: at },
      });
    }
    records.push({
      key: decodeName(bytes.subarray(digit + 1, equals)),
      value: bytes.subarray(equals + 1, end - 1),
    });
    at = end;
  }
  return records;
}

/** Records in force for one entry: what a global header said, and the entry's own over it. */
export function mergePax(
  global: ReadonlyMap<string, Uint8Array>,
  own: readonly PaxRecord[],
): Map<string, Uint8Array> {
  const merged = new Map(global);
  for (const { key, value } of own) {
    // An empty value takes the key back, so that the header's field holds; an attribute may be empty.
    if (value.length === 0 && !isXattr(key)) merged.delete(key);
    else merged.set(key, value);
  }
  return merged;
}

function isXattr(key: string): boolean {
  return key.startsWith(SCHILY) || key.startsWith(LIBARCHIVE);
}

/** star's and GNU tar's records of extended attributes: raw values. */
const SCHILY = 'SCHILY.xattr.';
/** libarchive's: the name in percent-encoding, the value in base64. */
const LIBARCHIVE = 'LIBARCHIVE.xattr.';
/** What GNU tar writes for the label of SELinux. */
const SELINUX = 'RHT.security.selinux';

/** The extended attributes among PAX records. Values alias the records. */
export function paxXattrs(pax: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  const xattrs = new Map<string, Uint8Array>();
  for (const [key, value] of pax) {
    if (key.startsWith(LIBARCHIVE)) {
      const encoded = key.slice(LIBARCHIVE.length);
      // libarchive writes both, with the same encoding of the name.
      const raw = pax.get(SCHILY + encoded);
      xattrs.set(percentDecode(encoded), raw ?? base64Decode(value));
    } else if (key.startsWith(SCHILY)) {
      const encoded = key.slice(SCHILY.length);
      if (!pax.has(LIBARCHIVE + encoded)) xattrs.set(schilyDecode(encoded), value);
    } else if (key === SELINUX) {
      xattrs.set('security.selinux', value);
    }
  }
  return xattrs;
}

/** GNU tar escapes the two characters that would break a record's key. */
export function schilyDecode(name: string): string {
  return name.replace(/%(3D|25)/g, (_, code) => (code === '25' ? '%' : '='));
}

export function schilyKey(name: string): string {
  return SCHILY + name.replace(/[%=]/g, (sign) => (sign === '%' ? '%25' : '%3D'));
}

function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = /^%[0-9a-fA-F]{2}/.test(text.slice(at, at + 3));
    if (code) bytes.push(Number.parseInt(text.slice(at + 1, at + 3), 16));
    else bytes.push(text.charCodeAt(at) & 0xff);
    if (code) at += 2;
  }
  return decodeName(Uint8Array.from(bytes));
}

function base64Decode(value: Uint8Array): Uint8Array {
  try {
    return Uint8Array.from(atob(decodeName(value)), (character) => character.charCodeAt(0));
  } catch {
    throw new TarError('TAR_BAD_PAX', 'Cannot read an extended attribute: its base64 is broken');
  }
}

/**
 * A decimal number of seconds, with a fraction or a sign where there is one.
 *
 * @throws TarError `TAR_BAD_PAX`
 */
export function parseTime(value: Uint8Array): Timestamp {
  const text = decodeName(value.subarray(0, 64));
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text);
  if (!match) throw badValue('time', text);
  const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  const seconds = Number(match[2]);
  if (match[1] === '') return { seconds, nanoseconds };
  if (nanoseconds === 0) return { seconds: 0 - seconds, nanoseconds };
  return { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}

/** A decimal integer within [0, limit]. */
export function parseCount(value: Uint8Array | string, limit: number): number {
  const text = typeof value === 'string' ? value : decodeName(value.subarray(0, 64));
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number <= limit)) throw badValue('number', text);
  return number;
}

function badValue(what: string, text: string): TarError {
  return new TarError(
    'TAR_BAD_PAX',
    `Cannot read a PAX ${what}: ${JSON.stringify(text.slice(0, 64))}`,
  );
}
