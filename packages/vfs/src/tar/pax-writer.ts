import { encodeName } from '@anole/bytes';
import { compareNames } from '../paths.ts';
import type { Timestamp } from '../tree.ts';

/** Records of a PAX header in the making. */
export type PaxFields = Map<string, Uint8Array | string>;

const binaryCharset = 'hdrcharset';

/** The body of a PAX header: records sorted by key, the character set before all. */
export function formatPax(fields: PaxFields): Uint8Array {
  const keys = [...fields.keys()].sort((a, b) =>
    a === binaryCharset ? -1 : b === binaryCharset ? 1 : compareNames(a, b),
  );
  const records = keys.map((key) => formatRecord(key, fields.get(key)!));
  const all = new Uint8Array(records.reduce((sum, record) => sum + record.length, 0));
  let at = 0;
  for (const record of records) {
    all.set(record, at);
    at += record.length;
  }
  return all;
}

/** "length key=value\n", where the length counts its own digits. */
function formatRecord(key: string, value: Uint8Array | string): Uint8Array {
  const name = encodeName(` ${key}=`);
  const bytes = typeof value === 'string' ? encodeName(value) : value;
  const rest = name.length + bytes.length + 1;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  const record = new Uint8Array(length);
  const digits = encodeName(String(length));
  record.set(digits);
  record.set(name, digits.length);
  record.set(bytes, digits.length + name.length);
  record[length - 1] = 0x0a;
  return record;
}

/**
 * Sets a name. Values are UTF-8 by the standard; a name that is not says so by the character set,
 * which then counts for all names of the header.
 */
export function setName(fields: PaxFields, key: string, name: string): void {
  fields.set(key, name);
  if (!name.isWellFormed()) fields.set(binaryCharset, 'BINARY');
}

/** A time as a decimal number of seconds, as short as it can be. */
export function formatTime({ seconds, nanoseconds }: Timestamp): string {
  if (nanoseconds === 0) return String(seconds);
  if (seconds >= 0) return `${seconds}.${digits(nanoseconds)}`;
  const whole = seconds + 1;
  return `${whole === 0 ? '-0' : whole}.${digits(1e9 - nanoseconds)}`;
}

function digits(nanoseconds: number): string {
  return String(nanoseconds).padStart(9, '0').replace(/0+$/, '');
}
