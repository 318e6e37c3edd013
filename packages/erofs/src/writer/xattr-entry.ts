import { encodeName, viewOf } from '@anole/bytes';
import { ErofsError } from '../errors.ts';
import {
  XATTR_ENTRY_SIZE,
  XATTR_LONG_PREFIX,
  XATTR_UNIT,
  XattrEntry,
  xattrPrefixes,
} from '../layout/xattr.ts';
import { filterBitOf, prefixIndexOf } from '../xattr-names.ts';
import { type LongPrefix, longestOf } from './long-prefixes.ts';

/** An attribute as it stands beside an inode. */
export interface EncodedXattr {
  /** Entry with name and value, padded to four bytes. */
  readonly bytes: Uint8Array;
  /** Its bit in the name filter. */
  readonly filterBit: number;
}

/**
 * @param path of the file, for messages
 * @throws ErofsError `EROFS_CANNOT_STORE`
 */
export function encodeXattr(
  name: string,
  value: Uint8Array,
  path: string,
  prefixes: readonly LongPrefix[] = [],
): EncodedXattr {
  const index = prefixIndexOf(name);
  if (index === undefined) {
    throw cannot(name, path, 'its name begins with none of the prefixes that EROFS knows');
  }
  const all = encodeName(name.slice(xattrPrefixes[index]!.length));
  const long = longestOf(prefixes, index, all);
  if (all.length > 255) throw cannot(name, path, `its name has ${all.length} bytes`);
  if (value.length > 0xffff) throw cannot(name, path, `its value has ${value.length} bytes`);
  const filterBit = filterBitOf(all, index);
  if (long === undefined) return { bytes: encodeEntry(index, all, value), filterBit };
  const rest = all.subarray(prefixes[long]!.infix.length);
  return { bytes: encodeEntry(XATTR_LONG_PREFIX | long, rest, value), filterBit };
}

/** @param rest of the name, behind the prefix that `nameIndex` numbers */
export function encodeEntry(nameIndex: number, rest: Uint8Array, value: Uint8Array): Uint8Array {
  const used = XATTR_ENTRY_SIZE + rest.length + value.length;
  const bytes = new Uint8Array(Math.ceil(used / XATTR_UNIT) * XATTR_UNIT);
  const { length: valueSize } = value;
  XattrEntry.write(viewOf(bytes), 0, { nameLength: rest.length, nameIndex, valueSize });
  bytes.set(rest, XATTR_ENTRY_SIZE);
  bytes.set(value, XATTR_ENTRY_SIZE + rest.length);
  return bytes;
}

function cannot(name: string, path: string, reason: string): ErofsError {
  return new ErofsError(
    'EROFS_CANNOT_STORE',
    `Cannot store the attribute ${name} of ${path}: ${reason}`,
    { details: { path, name }, hint: 'leave extended attributes out' },
  );
}
