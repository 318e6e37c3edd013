import { encodeName, type Hash, isPromise } from '@anole/bytes';
import { DIGEST_NAME, digestValue } from '../layout/digest.ts';
import {
  LONG_PREFIXES_MAX,
  XATTR_HIDDEN,
  XATTR_LONG_PREFIX,
  xattrPrefixes,
} from '../layout/xattr.ts';
import { filterBitOf, prefixIndexOf } from '../xattr-names.ts';
import { badOption } from './bad-option.ts';
import type { Inode } from './inode.ts';
import type { LongPrefix } from './long-prefixes.ts';
import { readExactly } from './read-exactly.ts';
import { encodeEntry } from './xattr-entry.ts';
import type { XattrItem } from './xattrs.ts';

export interface DigestOptions {
  /** Of the attribute; shown to nobody where no prefix that EROFS knows begins it, as unless told: `erofs.fingerprint.v1`. */
  readonly name?: string;
  /** Begins a SHA-256. */
  readonly sha256: () => Hash;
}

/** Digests of files, in attributes whose whole name is a long prefix. */
export interface DigestSettings {
  readonly name: string;
  readonly sha256: () => Hash;
  /** Number of the long prefix. */
  readonly number: number;
  readonly prefix: LongPrefix;
}

/** Bytes that are hashed at once. */
const PIECE = 1024 * 1024;

/**
 * @param number of the long prefix that it gets
 * @throws ErofsError `EROFS_BAD_OPTION`
 */
export function settleDigests(
  { name = DIGEST_NAME, sha256 }: DigestOptions,
  number: number,
): DigestSettings {
  const index = prefixIndexOf(name) ?? XATTR_HIDDEN;
  const infix = encodeName(name.slice(xattrPrefixes[index]?.length ?? 0));
  if (number >= LONG_PREFIXES_MAX || infix.length < 1 || infix.length > 255 || infix.includes(0)) {
    throw badOption('name of digests', name, 'give 1 to 255 bytes, and at most 127 other prefixes');
  }
  return { name, sha256, number, prefix: { index, infix } };
}

/** The attribute with the digest of a file, which is read for it. */
export async function digestOf(inode: Inode, settings: DigestSettings): Promise<XattrItem> {
  const hash = settings.sha256();
  for (let at = 0; at < inode.size; at += PIECE) {
    const bytes = readExactly(inode, at, Math.min(PIECE, inode.size - at));
    hash.update(isPromise(bytes) ? await bytes : bytes);
  }
  const { number, prefix } = settings;
  const value = digestValue(hash.digest('hex'));
  const bytes = encodeEntry(XATTR_LONG_PREFIX | number, new Uint8Array(0), value);
  const filterBit = filterBitOf(prefix.infix, prefix.index);
  // Few have the same: each has its own.
  return { bytes, filterBit, uses: 1, tolerance: 1, sharedId: undefined };
}
