import { decodeName, encodeName, type Flow, viewOf } from '@anole/bytes';
import { damaged, type ErofsError } from '../errors.ts';
import {
  XATTR_ENTRY_SIZE,
  XATTR_HEADER_SIZE,
  XATTR_LONG_PREFIX,
  XATTR_UNIT,
  XattrEntry,
  XattrHeader,
  xattrPrefixes,
} from '../layout/xattr.ts';
import { filterBitOf, prefixIndexOf } from '../xattr-names.ts';
import type { InodeInfo } from './inode.ts';
import type { Spaces } from './spaces.ts';
import type { ImageInfo } from './superblock.ts';

/** A long prefix: one of the short ones and what follows it. Empty where names are shown to nobody. */
export type LongPrefix = string;

const none: ReadonlyMap<string, Uint8Array> = new Map();

/** Gets the number of a prefix that there is, the rest of the name, and the value while it is called. */
type Take = (prefix: number, rest: string, value: Uint8Array) => void;

/** Reads extended attributes of inodes. */
export class XattrReader {
  readonly #spaces: Spaces;
  readonly #info: ImageInfo;
  readonly #longPrefixes: readonly LongPrefix[];

  constructor(spaces: Spaces, info: ImageInfo, longPrefixes: readonly LongPrefix[]) {
    this.#spaces = spaces;
    this.#info = info;
    this.#longPrefixes = longPrefixes;
  }

  /**
   * All attributes but hidden ones; values are copies. An inode that holds one twice has the first.
   *
   * @throws ErofsError `EROFS_BAD_XATTR`, `EROFS_OUT_OF_RANGE`
   */
  *all(inode: InodeInfo): Flow<ReadonlyMap<string, Uint8Array>> {
    if (inode.xattrSize === 0) return none;
    const found = new Map<string, Uint8Array>();
    yield* this.#each(inode, (prefix, rest, value) => {
      const name = this.#prefix(prefix) + rest;
      if (this.#prefix(prefix) !== '' && !found.has(name)) found.set(name, value.slice());
    });
    return found;
  }

  /**
   * The value of the attribute whose whole name is a long prefix, which may be hidden; a copy.
   *
   * @throws ErofsError `EROFS_BAD_XATTR`, `EROFS_OUT_OF_RANGE`
   */
  *named(inode: InodeInfo, longPrefix: number): Flow<Uint8Array | undefined> {
    if (inode.xattrSize === 0) return undefined;
    let found: Uint8Array | undefined;
    yield* this.#each(inode, (prefix, rest, value) => {
      if (prefix === (XATTR_LONG_PREFIX | longPrefix) && rest === '') found ??= value.slice();
    });
    return found;
  }

  *#each(inode: InodeInfo, take: Take): Flow<void> {
    const body = yield* inode.space.read(inode.xattrOffset, inode.xattrSize, 'attributes');
    const { sharedCount } = XattrHeader.at(viewOf(body));
    const inlineStart = XATTR_HEADER_SIZE + sharedCount * XATTR_UNIT;
    if (inlineStart > body.length) {
      throw bad(inode, `${sharedCount} shared ones are more than fit`, inode.xattrOffset);
    }
    for (let at = inlineStart; at + XATTR_ENTRY_SIZE <= body.length; ) {
      at = this.#entry(take, inode, body, at, inode.xattrOffset);
    }
    const ids = viewOf(body.slice(XATTR_HEADER_SIZE, inlineStart));
    for (let index = 0; index < sharedCount; index++) {
      yield* this.#shared(take, inode, ids.getUint32(index * XATTR_UNIT, true));
    }
  }

  /** Whether the name filter rules an attribute out, so that nothing more need be read. */
  *mayHave(inode: InodeInfo, name: string): Flow<boolean> {
    if (inode.xattrSize === 0) return false;
    const index = prefixIndexOf(name);
    if (index === undefined) return false;
    if (!this.#info.xattrFilter) return true;
    const head = yield* inode.space.read(inode.xattrOffset, XATTR_HEADER_SIZE, 'attributes');
    const rest = encodeName(name.slice(xattrPrefixes[index]!.length));
    return ((XattrHeader.at(viewOf(head)).nameFilter >>> filterBitOf(rest, index)) & 1) === 0;
  }

  *#shared(take: Take, inode: InodeInfo, id: number): Flow<void> {
    const { sharedInMetabox, xattrOffset } = this.#info;
    const space = (sharedInMetabox && this.#spaces.metabox) || this.#spaces.image;
    const offset = xattrOffset + id * XATTR_UNIT;
    const head = yield* space.read(offset, XATTR_ENTRY_SIZE, 'a shared attribute');
    const size = entrySize(head, 0);
    const entry = yield* space.read(offset, size, 'a shared attribute');
    this.#entry(take, inode, entry, 0, offset);
  }

  /** Hands out the entry at `at`; gives where the next one begins. */
  #entry(take: Take, inode: InodeInfo, body: Uint8Array, at: number, base: number): number {
    const { nameLength, nameIndex } = XattrEntry.at(viewOf(body), at);
    const size = entrySize(body, at);
    if (at + size > body.length) throw bad(inode, 'an entry ends outside them', base + at);
    if (isPadding(body, at)) return at + XATTR_UNIT;
    const value = at + XATTR_ENTRY_SIZE + nameLength;
    if (this.#prefix(nameIndex) === undefined) {
      throw bad(inode, `an entry has prefix ${nameIndex}`, base + at);
    }
    const rest = decodeName(body.subarray(at + XATTR_ENTRY_SIZE, value));
    if (rest.includes('\0')) throw bad(inode, 'a name holds a zero', base + at);
    take(nameIndex, rest, body.subarray(value, at + size));
    return Math.ceil((at + size) / XATTR_UNIT) * XATTR_UNIT;
  }

  #prefix(index: number): string | undefined {
    if ((index & XATTR_LONG_PREFIX) === 0) return xattrPrefixes[index];
    return this.#longPrefixes[index & ~XATTR_LONG_PREFIX];
  }
}

/** Whether there is room for an entry, and none: mkfs.erofs leaves some beside the root where it is told to. */
export function isPadding(body: Uint8Array, at: number): boolean {
  return viewOf(body).getUint32(at, true) === 0;
}

/** Bytes of an entry with name and value, without the padding after it. */
function entrySize(body: Uint8Array, at: number): number {
  const { nameLength, valueSize } = XattrEntry.at(viewOf(body), at);
  return XATTR_ENTRY_SIZE + nameLength + valueSize;
}

function bad(inode: InodeInfo, reason: string, offset: number): ErofsError {
  return damaged(
    'EROFS_BAD_XATTR',
    `Cannot read the attributes of inode ${inode.nid}: ${reason}`,
    offset,
  );
}
