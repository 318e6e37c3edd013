import { decodeName, type Flow, viewOf } from '@anole/bytes';
import { damaged } from '../errors.ts';
import { nidOf } from '../layout/nid.ts';
import { XATTR_HIDDEN, xattrPrefixes } from '../layout/xattr.ts';
import type { DataReader } from './data.ts';
import { readInode } from './inode.ts';
import type { Spaces } from './spaces.ts';
import type { ImageInfo } from './superblock.ts';

/**
 * The table of long prefixes of attribute names: each a length (u16), the number of a short prefix
 * (u8) and what follows that, aligned to four bytes. Those of hidden names are empty here. Source: Linux
 * fs/erofs/xattr.c, erofs_xattr_prefixes_init.
 *
 * @throws ErofsError `EROFS_BAD_XATTR`, `EROFS_OUT_OF_RANGE`
 */
export function* readLongPrefixes(
  spaces: Spaces,
  data: DataReader,
  info: ImageInfo,
): Flow<string[]> {
  const prefixes: string[] = [];
  if (info.xattrPrefixes === undefined) return prefixes;
  const { count, offset } = info.xattrPrefixes;
  const nid = info.xattrPrefixNid;
  const packed =
    nid === 0n
      ? undefined
      : yield* readInode(spaces, info, nidOf(Number(nid & 0xffffffffn), Number(nid >> 32n)));
  const read = function* (at: number, length: number): Flow<Uint8Array> {
    if (packed === undefined) return yield* spaces.image.read(at, length, 'a long prefix');
    const bytes = yield* data.read(packed, at, length);
    if (bytes.length === length) return bytes;
    throw damaged('EROFS_BAD_XATTR', 'Cannot read a long prefix: its inode is too short', at);
  };
  let at = offset;
  for (let index = 0; index < count; index++) {
    const length = viewOf(yield* read(at, 2)).getUint16(0, true);
    const bytes = yield* read(at + 2, length);
    const isHidden = bytes[0] === XATTR_HIDDEN;
    const base = isHidden ? '' : xattrPrefixes[bytes[0] ?? 0];
    if (base === undefined || length > 256) {
      throw damaged('EROFS_BAD_XATTR', `Cannot read long prefix ${index} of attribute names`, at);
    }
    prefixes.push(isHidden ? '' : base + decodeName(bytes.subarray(1)));
    at = Math.ceil((at + 2 + length) / 4) * 4;
  }
  return prefixes;
}
