import type { Timestamp } from '@anole/vfs';
import { OciError } from './errors.ts';

const pattern = /^(-?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;
/** Years of four digits: what RFC 3339 has. */
const FIRST = -62_167_219_200;
const LAST = 253_402_300_799;

/** A time in the form of RFC 3339, with as many digits behind the second as it needs. */
export function writeTimestamp({ seconds, nanoseconds }: Timestamp): string {
  const within = Math.min(Math.max(seconds, FIRST), LAST);
  const text = new Date(within * 1000).toISOString().slice(0, 19);
  const digits = nanoseconds.toString().padStart(9, '0').replace(/0+$/, '');
  return `${text}${digits === '' ? '' : `.${digits}`}Z`;
}

/** The time that was read last: files that lie beside each other mostly have one. */
let last: { readonly text: string; readonly time: Timestamp } = {
  text: '',
  time: { seconds: 0, nanoseconds: 0 },
};

/** @throws OciError `OCI_BAD_INDEX` for what is no such time; nothing is 1970 */
export function parseTimestamp(text: string): Timestamp {
  if (text !== last.text) last = { text, time: readTimestamp(text) };
  return last.time;
}

function readTimestamp(text: string): Timestamp {
  if (text === '') return { seconds: 0, nanoseconds: 0 };
  const found = pattern.exec(text);
  const milliseconds = found ? Date.parse(`${found[1]}${found[3]}`) : Number.NaN;
  if (found === null || Number.isNaN(milliseconds)) {
    throw new OciError(
      'OCI_BAD_INDEX',
      `Cannot read the time ${JSON.stringify(text.slice(0, 60))}`,
    );
  }
  const nanoseconds = Number((found[2] ?? '').padEnd(9, '0'));
  return { seconds: Math.floor(milliseconds / 1000), nanoseconds };
}
