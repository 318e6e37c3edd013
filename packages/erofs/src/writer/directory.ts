import { encodeName, viewOf } from '@anole/bytes';
import type { FileType } from '@anole/vfs';
import { compareBytes } from '../compare-bytes.ts';
import { DIRENT_SIZE, Dirent, fileTypes } from '../layout/dirent.ts';
import { highOfNid } from '../layout/nid.ts';

/** Where UTF-16 sorts otherwise than UTF-8: surrogates, and what comes after them. */
const sortsOtherwise = /[\ud800-\uffff]/;

/** Sorts names by their bytes, as lookups in an image need them. Sorts in place. */
export function sortNames(names: string[]): string[] {
  if (!names.some((name) => sortsOtherwise.test(name))) return names.sort();
  const bytes = new Map(names.map((name) => [name, encodeName(name)]));
  return names.sort((a, b) => compareBytes(bytes.get(a)!, bytes.get(b)!));
}

export function nameLength(name: string): number {
  return isAscii(name) ? name.length : encodeName(name).length;
}

/** Names are short, and many: a loop takes a part of what a regular expression does. */
function isAscii(name: string): boolean {
  for (let at = 0; at < name.length; at++) if (name.charCodeAt(at) > 0x7f) return false;
  return true;
}

/** Bytes of a directory: whole blocks, and of the last one what it fills. */
export function directorySize(names: readonly string[], blockSize: number): number {
  let full = 0;
  let used = 0;
  for (const name of names) {
    const more = DIRENT_SIZE + nameLength(name);
    if (used + more > blockSize) {
      full += blockSize;
      used = 0;
    }
    used += more;
  }
  return full + used;
}

/** What a directory lists: names in the order of their bytes, `.` and `..` among them, and inodes. */
export interface DirectoryBlocks {
  readonly names: readonly string[];
  readonly children: readonly Child[];
}

interface Child {
  readonly nid: number;
  readonly type: FileType;
}

/** The blocks of a directory one by one; all but the last are of `blockSize`. */
export function* directoryBlocks(
  directory: DirectoryBlocks,
  blockSize: number,
): Generator<Uint8Array> {
  const { names } = directory;
  for (let first = 0, end = 0; first < names.length; first = end) {
    let used = 0;
    for (; end < names.length; end++) {
      const more = DIRENT_SIZE + nameLength(names[end]!);
      if (used + more > blockSize) break;
      used += more;
    }
    const size = end < names.length ? blockSize : used;
    yield directoryBlock(directory, first, end, new Uint8Array(size));
  }
}

function directoryBlock(
  { names, children }: DirectoryBlocks,
  first: number,
  end: number,
  block: Uint8Array,
): Uint8Array {
  const dirent = Dirent.at(viewOf(block));
  let nameOffset = (end - first) * DIRENT_SIZE;
  for (let index = first; index < end; index++) {
    const child = children[index]!;
    const { nid } = child;
    dirent.$move((index - first) * DIRENT_SIZE);
    dirent.nidLow = nid % 2 ** 32;
    dirent.nidHigh = highOfNid(nid);
    dirent.nameOffset = nameOffset;
    dirent.fileType = fileTypes.indexOf(child.type);
    nameOffset += putName(block, nameOffset, names[index]!);
  }
  return block;
}

/** Encodes a name in its place: an array for each name of a large tree would be much to collect. */
function putName(block: Uint8Array, at: number, name: string): number {
  if (!isAscii(name)) {
    const bytes = encodeName(name);
    block.set(bytes, at);
    return bytes.length;
  }
  for (let index = 0; index < name.length; index++) block[at + index] = name.charCodeAt(index);
  return name.length;
}
