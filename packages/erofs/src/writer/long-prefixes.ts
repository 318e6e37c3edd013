import { encodeName, viewOf } from '@anole/bytes';
import { compareBytes } from '../compare-bytes.ts';
import { LONG_PREFIXES_MAX, XATTR_UNIT, xattrPrefixes } from '../layout/xattr.ts';
import { prefixIndexOf } from '../xattr-names.ts';
import { badOption } from './bad-option.ts';

/** What names of attributes begin with, beyond the prefixes that the format numbers. */
export interface LongPrefix {
  /** Number of the short prefix, and what follows that. */
  readonly index: number;
  readonly infix: Uint8Array;
}

/** @throws ErofsError `EROFS_BAD_OPTION` */
export function longPrefixesOf(texts: readonly string[]): readonly LongPrefix[] {
  if (texts.length > LONG_PREFIXES_MAX) {
    throw badOption('prefixes of attributes:', texts.length, `at most ${LONG_PREFIXES_MAX} fit`);
  }
  return texts.map((text) => {
    const index = prefixIndexOf(text);
    const infix = encodeName(text.slice(index === undefined ? 0 : xattrPrefixes[index]!.length));
    if (index !== undefined && infix.length > 0 && infix.length <= 255) return { index, infix };
    const begin = 'begin with user., trusted., security. or lustre.';
    const follow = 'give 1 to 255 bytes more than the format has a number for';
    throw badOption(
      'prefix of attributes',
      text,
      index === undefined && !xattrPrefixes.includes(text) ? begin : follow,
    );
  });
}

/** The number of the longest prefix that a name has; undefined where it has none. */
export function longestOf(
  prefixes: readonly LongPrefix[],
  nameIndex: number,
  name: Uint8Array,
): number | undefined {
  let longest: number | undefined;
  for (const [number, { index, infix }] of prefixes.entries()) {
    if (index !== nameIndex || compareBytes(name.subarray(0, infix.length), infix) !== 0) continue;
    if (longest === undefined || infix.length > prefixes[longest]!.infix.length) longest = number;
  }
  return longest;
}

/**
 * The table of prefixes: each a length (u16), the number of the short one (u8) and what follows that,
 * aligned to four bytes. Source: Linux fs/erofs/xattr.c, erofs_xattr_prefixes_init.
 */
export function encodeLongPrefixes(prefixes: readonly LongPrefix[]): Uint8Array {
  const out = new Uint8Array(longPrefixesSize(prefixes));
  const view = viewOf(out);
  let at = 0;
  for (const prefix of prefixes) {
    const { index, infix } = prefix;
    view.setUint16(at, 1 + infix.length, true);
    out[at + 2] = index;
    out.set(infix, at + 3);
    at += sizeOf(prefix);
  }
  return out;
}

/** Bytes of what {@link encodeLongPrefixes} gives. */
export function longPrefixesSize(prefixes: readonly LongPrefix[]): number {
  return prefixes.reduce((size, prefix) => size + sizeOf(prefix), 0);
}

function sizeOf({ infix }: LongPrefix): number {
  return Math.ceil((3 + infix.length) / XATTR_UNIT) * XATTR_UNIT;
}
