import { encodeName, viewOf } from '@anole/bytes';
import type { FileType } from '@anole/vfs';
import { compareBytes } from '../compare-bytes.ts';
import { DIRENT_SIZE, Dirent, fileTypes } from '../layout/dirent.ts';

const ascii = /^[\0-\x7f]*$/;
/** Where UTF-16 sorts otherwise than UTF-8: surrogates, and what comes after them. */
const sortsOtherwise = /[\ud800-\uffff]/;

/** Sorts names by their bytes, as lookups in an image need them. Sorts in place. */
export function sortNames(names: string[]): string[] {
  if (!names.some((name) => sortsOtherwise.test(name))) return names.sort();
  const bytes = new Map(names.map((name) => [name, encodeName(name)]));
  return names.sort((a, b) => compareBytes(bytes.get(a)!, bytes.get(b)!));
}

export function nameLength(name: string): number {
  return ascii.test(name) ? name.length : encodeName(name).length;
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
  { names, children }: DirectoryBlocks,
  blockSize: number,
): Generator<Uint8Array> {
  let encoded: Uint8Array[] = [];
  let first = 0;
  let used = 0;
  for (const name of names) {
    const bytes = encodeName(name);
    if (used + DIRENT_SIZE + bytes.length > blockSize) {
      yield directoryBlock(encoded, children, first, blockSize);
      first += encoded.length;
      encoded = [];
      used = 0;
    }
    used += DIRENT_SIZE + bytes.length;
    encoded.push(bytes);
  }
  yield directoryBlock(encoded, children, first, used);
}

function directoryBlock(
  names: readonly Uint8Array[],
  children: readonly Child[],
  first: number,
  size: number,
): Uint8Array {
  const block = new Uint8Array(size);
  const view = viewOf(block);
  let nameOffset = names.length * DIRENT_SIZE;
  names.forEach((name, index) => {
    const child = children[first + index]!;
    Dirent.set(
      view,
      index * DIRENT_SIZE,
      {
        nidLow: child.nid % 2 ** 32,
        nidHigh: Math.floor(child.nid / 2 ** 32),
        nameOffset,
        fileType: fileTypes.indexOf(child.type),
      },
      true,
    );
    block.set(name, nameOffset);
    nameOffset += name.length;
  });
  return block;
}
