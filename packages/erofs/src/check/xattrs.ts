import { decodeName, encodeName, type Flow, viewOf } from '@anole/bytes';
import {
  XATTR_ENTRY_SIZE,
  XATTR_HEADER_SIZE,
  XATTR_LONG_PREFIX,
  XATTR_UNIT,
  XattrEntry,
  XattrHeader,
  xattrPrefixes,
} from '../layout/xattr.ts';
import type { InodeInfo } from '../reader/inode.ts';
import type { Metadata } from '../reader/metadata.ts';
import type { OpenedImage } from '../reader/open.ts';
import { isPadding } from '../reader/xattrs.ts';
import { filterBitOf, prefixIndexOf } from '../xattr-names.ts';
import type { SlotClaims } from './claims.ts';
import type { Findings, Place } from './findings.ts';

/** Checks the extended attributes of inodes. Values are bounded, not read. */
export class XattrCheck {
  readonly #image: OpenedImage;
  readonly #findings: Findings;
  readonly #claims: (space: Metadata) => SlotClaims;

  constructor(image: OpenedImage, findings: Findings, claims: (space: Metadata) => SlotClaims) {
    this.#image = image;
    this.#findings = findings;
    this.#claims = claims;
  }

  *inode(inode: InodeInfo, place: Place): Flow<void> {
    const { space, xattrOffset: start, xattrSize } = inode;
    if (xattrSize === 0) return;
    const head = yield* space.read(start, XATTR_HEADER_SIZE, 'attributes');
    const { sharedCount, nameFilter } = XattrHeader.at(viewOf(head));
    const seen = new Set<string>();
    const end = start + xattrSize;
    let at = start + XATTR_HEADER_SIZE + sharedCount * XATTR_UNIT;
    if (at > end) {
      this.#bad(`${sharedCount} shared attributes are more than fit`, place, start);
      return;
    }
    const ids = yield* space.read(
      start + XATTR_HEADER_SIZE,
      sharedCount * XATTR_UNIT,
      'attributes',
    );
    const numbers = viewOf(new Uint8Array(ids));
    while (at + XATTR_ENTRY_SIZE <= end) {
      const size = yield* this.#entry(space, at, end, seen, place);
      if (size === undefined) return;
      at += Math.ceil(size / XATTR_UNIT) * XATTR_UNIT;
    }
    for (let index = 0; index < sharedCount; index++) {
      yield* this.#shared(numbers.getUint32(index * XATTR_UNIT, true), seen, place);
    }
    this.#filter(nameFilter, seen, place, start);
  }

  *#shared(id: number, seen: Set<string>, place: Place): Flow<void> {
    const { info, spaces } = this.#image;
    const space = (info.sharedInMetabox && spaces.metabox) || spaces.image;
    const at = info.xattrOffset + id * XATTR_UNIT;
    const size = yield* this.#entry(space, at, space.source.size, seen, place);
    if (size === undefined) return;
    const other = this.#claims(space).claimCommon(at, size);
    if (other !== undefined) {
      this.#findings.add(
        'EROFS_OVERLAP',
        `A shared attribute lies in an inode (at byte ${other})`,
        {
          ...place,
          offset: at,
        },
      );
    }
  }

  /** Bytes of the entry at `at`; undefined where it makes no sense. */
  *#entry(
    space: Metadata,
    at: number,
    end: number,
    seen: Set<string>,
    place: Place,
  ): Flow<number | undefined> {
    if (at + XATTR_ENTRY_SIZE > end) return this.#bad('an entry ends outside them', place, at);
    const bytes = yield* space.read(at, XATTR_ENTRY_SIZE, 'an attribute');
    if (isPadding(bytes, 0)) return XATTR_ENTRY_SIZE;
    const { nameLength, nameIndex, valueSize } = XattrEntry.at(viewOf(bytes));
    const size = XATTR_ENTRY_SIZE + nameLength + valueSize;
    if (at + size > end) return this.#bad('an entry ends outside them', place, at);
    const prefix =
      (nameIndex & XATTR_LONG_PREFIX) === 0
        ? xattrPrefixes[nameIndex]
        : this.#image.prefixes[nameIndex & ~XATTR_LONG_PREFIX];
    if (prefix === undefined) return this.#bad(`an entry has prefix ${nameIndex}`, place, at);
    const rest = yield* space.read(at + XATTR_ENTRY_SIZE, nameLength, 'the name of an attribute');
    if (rest.includes(0)) return this.#bad('a name holds a zero', place, at);
    // Hidden: it has no name that could be there twice, or be looked up.
    if (prefix === '') return size;
    const name = prefix + decodeName(rest);
    if (xattrPrefixes.includes(name) && name.endsWith('.'))
      this.#bad(`${name} has no name`, place, at);
    if (seen.has(name)) this.#bad(`${name} is there twice`, place, at);
    seen.add(name);
    return size;
  }

  #filter(filter: number, seen: ReadonlySet<string>, place: Place, offset: number): void {
    if (!this.#image.info.xattrFilter) return;
    for (const name of seen) {
      const index = prefixIndexOf(name);
      if (index === undefined) continue;
      const rest = encodeName(name.slice(xattrPrefixes[index]!.length));
      if (((filter >>> filterBitOf(rest, index)) & 1) === 0) continue;
      this.#findings.add('EROFS_NAME_FILTER', `The name filter denies the attribute ${name}`, {
        ...place,
        offset,
      });
    }
  }

  #bad(reason: string, place: Place, offset: number): undefined {
    const message = `Cannot read the attributes: ${reason} (at byte ${offset})`;
    this.#findings.add('EROFS_BAD_XATTR', message, { ...place, offset });
    return undefined;
  }
}
