import { XATTR_FILTER_BITS, XATTR_FILTER_SEED, xattrPrefixes } from './layout/xattr.ts';
import { xxh32 } from './xxh32.ts';

/** The bit of the name filter for a name without its prefix. Source: Linux fs/erofs/xattr.c. */
export function filterBitOf(rest: Uint8Array, prefixIndex: number): number {
  return xxh32(rest, XATTR_FILTER_SEED + prefixIndex) % XATTR_FILTER_BITS;
}

/** Which prefix a full name has; undefined where the format has no such names. */
export function prefixIndexOf(name: string): number | undefined {
  const index = xattrPrefixes.findIndex((prefix) => {
    if (prefix === undefined) return false;
    return prefix.endsWith('.') ? name.startsWith(prefix) && name !== prefix : name === prefix;
  });
  return index < 0 ? undefined : index;
}
