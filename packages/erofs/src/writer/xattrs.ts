import { viewOf } from '@anole/bytes';
import { compareBytes } from '../compare-bytes.ts';
import { XATTR_HEADER_SIZE, XATTR_SHARED_MAX, XATTR_UNIT, XattrHeader } from '../layout/xattr.ts';
import type { LongPrefix } from './long-prefixes.ts';
import { encodeXattr } from './xattr-entry.ts';

/** One attribute and value, of however many inodes. */
export interface XattrItem {
  /** Entry with name and value, padded to four bytes. */
  readonly bytes: Uint8Array;
  readonly filterBit: number;
  uses: number;
  /** So many uses may each have a copy. */
  readonly tolerance: number;
  /** Identifier among the shared ones, or undefined: then it lies with each inode. */
  sharedId: number | undefined;
}

/** Collects attributes, and decides which are stored once for all inodes that have them. */
export class XattrPool {
  readonly #items = new Map<string, XattrItem>();
  readonly #tolerance: number;
  readonly #prefixes: readonly LongPrefix[];
  #hasOwn = false;

  /** @param tolerance inodes that may have an attribute each with a copy of its own */
  constructor(tolerance: number, prefixes: readonly LongPrefix[]) {
    this.#tolerance = tolerance;
    this.#prefixes = prefixes;
  }

  /** In an order that depends on nothing but the attributes. Counts one use of each. */
  itemsOf(attributes: ReadonlyMap<string, Uint8Array>, path: string): readonly XattrItem[] {
    const items = [...attributes].map(([name, value]) => this.#item(name, value, path));
    for (const item of items) item.uses++;
    items.sort((a, b) => compareBytes(a.bytes, b.bytes));
    return items;
  }

  /** Those, and one that no other inode has. */
  withOwn(items: readonly XattrItem[], own: XattrItem): readonly XattrItem[] {
    this.#hasOwn = true;
    return [...items, own].sort((a, b) => compareBytes(a.bytes, b.bytes));
  }

  /** Decides what is shared; `start` is the byte within the first block of the shared area. */
  share(start: number, blockSize: number): { readonly end: number; readonly items: XattrItem[] } {
    const items = [...this.#items.values()].filter(worthSharing);
    items.sort((a, b) => compareBytes(a.bytes, b.bytes));
    let at = start;
    for (const item of items) {
      const { length } = item.bytes;
      // An entry that fits in a block does not cross one: readers then map one block only.
      const room = blockSize - (at % blockSize);
      if (length > room && length <= blockSize) at += room;
      item.sharedId = at / XATTR_UNIT;
      at += length;
    }
    return { end: at, items };
  }

  get empty(): boolean {
    return this.#items.size === 0 && !this.#hasOwn;
  }

  #item(name: string, value: Uint8Array, path: string): XattrItem {
    const { bytes, filterBit } = encodeXattr(name, value, path, this.#prefixes);
    let key = '';
    for (const byte of bytes) key += String.fromCharCode(byte);
    let item = this.#items.get(key);
    if (item === undefined) {
      const tolerance = this.#tolerance;
      item = { bytes, filterBit, uses: 0, tolerance, sharedId: undefined };
      this.#items.set(key, item);
    }
    return item;
  }
}

/** Whether one copy and a reference from each inode take less room than a copy with each. */
function worthSharing({ uses, tolerance, bytes }: XattrItem): boolean {
  return uses > tolerance && uses * (bytes.length - XATTR_UNIT) > bytes.length;
}

/** Those an inode refers to, at most as many as it can, and those it holds. */
function divide(items: readonly XattrItem[]): { shared: XattrItem[]; inline: XattrItem[] } {
  const shared: XattrItem[] = [];
  const inline: XattrItem[] = [];
  for (const item of items) {
    if (worthSharing(item) && shared.length < XATTR_SHARED_MAX) shared.push(item);
    else inline.push(item);
  }
  return { shared, inline };
}

/** Bytes of attributes after an inode. Right once every use is counted. */
export function xattrSize(items: readonly XattrItem[]): number {
  if (items.length === 0) return 0;
  const { shared, inline } = divide(items);
  return inline.reduce(
    (size, item) => size + item.bytes.length,
    XATTR_HEADER_SIZE + shared.length * XATTR_UNIT,
  );
}

/** The attributes after an inode. */
export function encodeXattrs(items: readonly XattrItem[]): Uint8Array {
  const { shared, inline } = divide(items);
  const out = new Uint8Array(xattrSize(items));
  const view = viewOf(out);
  const present = items.reduce((bits, item) => bits | (1 << item.filterBit), 0);
  XattrHeader.write(view, 0, { nameFilter: ~present >>> 0, sharedCount: shared.length });
  let at = XATTR_HEADER_SIZE;
  for (const item of shared) {
    view.setUint32(at, item.sharedId!, true);
    at += XATTR_UNIT;
  }
  for (const item of inline) {
    out.set(item.bytes, at);
    at += item.bytes.length;
  }
  return out;
}
