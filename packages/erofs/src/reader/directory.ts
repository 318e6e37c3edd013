import { decodeName, encodeName, type Flow, viewOf } from '@anole/bytes';
import type { FileType } from '@anole/vfs';
import { compareBytes, compareRanges } from '../compare-bytes.ts';
import { damaged, type ErofsError } from '../errors.ts';
import { DIRENT_SIZE, Dirent, fileTypes, NAME_MAX } from '../layout/dirent.ts';
import { nidOf } from '../layout/nid.ts';
import type { DataReader } from './data.ts';
import type { InodeInfo } from './inode.ts';

/** One name of a directory, `.` and `..` included. */
export interface Record {
  readonly name: string;
  readonly nid: number;
  /** Undefined where the image does not say. */
  readonly type: FileType | undefined;
}

/** A directory block whose structure has been checked; names are checked as they are looked at. */
export class DirectoryBlock {
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #inode: InodeInfo;
  /** All names as characters, one for each byte; empty where there are others than of ASCII. */
  #text: string | undefined;

  constructor(bytes: Uint8Array, inode: InodeInfo) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#inode = inode;
    const first = bytes.length < DIRENT_SIZE ? 0 : Dirent.at(this.#view).nameOffset;
    if (first < DIRENT_SIZE || first % DIRENT_SIZE !== 0 || first > bytes.length) {
      throw bad(inode, `its names begin at byte ${first} of a block`);
    }
    this.count = first / DIRENT_SIZE;
  }

  nameBytes(index: number): Uint8Array {
    return this.#bytes.subarray(this.nameStart(index), this.nameEnd(index));
  }

  /** Byte of the block at which a name begins, and it has at least one byte there. */
  nameStart(index: number): number {
    const start = this.#nameOffset(index);
    const end = index + 1 === this.count ? this.#bytes.length : this.#nameOffset(index + 1);
    if (start < this.count * DIRENT_SIZE || end <= start || end > this.#bytes.length) {
      throw bad(this.#inode, `the name of entry ${index} lies at ${start} to ${end} of its block`);
    }
    return start;
  }

  /** Byte of the block behind a name. */
  nameEnd(index: number): number {
    const start = this.nameStart(index);
    const isLast = index + 1 === this.count;
    const end = isLast ? this.#lastEnd(start) : this.#nameOffset(index + 1);
    const length = end - start;
    if (length > 0 && length <= NAME_MAX) return end;
    throw bad(this.#inode, `the name of entry ${index} has ${length} bytes`);
  }

  /**
   * The first name, a copy of its own.
   *
   * @param before that of the block before: blocks that do not rise may be one that is named again and again
   * @throws ErofsError `EROFS_BAD_DIRECTORY` where it does not come behind that
   */
  firstBehind(before: Uint8Array): Uint8Array {
    const name = this.nameBytes(0);
    if (compareBytes(before, name) >= 0) throw bad(this.#inode, 'a block is out of order');
    return new Uint8Array(name);
  }

  nid(index: number): number {
    const { nidLow, nidHigh } = Dirent.at(this.#view, index * DIRENT_SIZE);
    return nidOf(nidLow, nidHigh);
  }

  record(index: number): Record {
    return { name: this.#name(index), nid: this.nid(index), type: this.type(index) };
  }

  /** Undefined where the image does not say. */
  type(index: number): FileType | undefined {
    return fileTypes[this.#view.getUint8(index * DIRENT_SIZE + Dirent.offsets.fileType)];
  }

  #name(index: number): string {
    const bytes = this.#bytes;
    const [start, end] = [this.nameStart(index), this.nameEnd(index)];
    let all = 0;
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === 0 || byte === 0x2f) {
        throw bad(this.#inode, `the name of entry ${index} holds a slash or a zero`);
      }
      all |= byte;
    }
    const names = this.count * DIRENT_SIZE;
    if (all < 0x80 && this.#text !== '') {
      // Parts of one text are had for less than texts of their own.
      this.#text ??= characters.decode(bytes.subarray(names));
      if (this.#text.length === bytes.length - names) {
        return this.#text.slice(start - names, end - names);
      }
      this.#text = '';
    }
    return decodeName(bytes.subarray(start, end));
  }

  #nameOffset(index: number): number {
    return this.#view.getUint16(index * DIRENT_SIZE + Dirent.offsets.nameOffset, true);
  }

  /** The rest of a block after the last name is zeros. */
  #lastEnd(start: number): number {
    const zero = this.#bytes.indexOf(0, start);
    return zero < 0 ? this.#bytes.length : zero;
  }
}

/** Gives as many characters as there are bytes only where each byte is one. */
const characters = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * All records, sorted by the bytes of their names: lookups rely on the order, so it is checked.
 *
 * @param types of which records are wanted, with those of types that are not known
 * @throws ErofsError `EROFS_BAD_DIRECTORY`
 */
export function* listDirectory(
  data: DataReader,
  inode: InodeInfo,
  blockSize: number,
  types?: ReadonlySet<FileType>,
): Flow<Record[]> {
  const records: Record[] = [];
  let last: Uint8Array = new Uint8Array(0);
  for (let offset = 0; offset < inode.stat.size; offset += blockSize) {
    const bytes = yield* data.read(inode, offset, blockSize);
    const block = new DirectoryBlock(bytes, inode);
    let [start, end] = [0, 0];
    for (let index = 0; index < block.count; index++) {
      const [from, to] = [block.nameStart(index), block.nameEnd(index)];
      const order =
        index === 0
          ? compareBytes(last, bytes.subarray(from, to))
          : compareRanges(bytes, start, end, from, to);
      if (order >= 0) throw bad(inode, `entry ${index} is out of order`);
      const type = block.type(index);
      if (types === undefined || type === undefined || types.has(type)) {
        records.push(block.record(index));
      }
      [start, end] = [from, to];
    }
    // The block's memory may be used again by the next read.
    last = new Uint8Array(bytes.subarray(start, end));
  }
  return records;
}

/** The record of a name, by binary search over blocks, then within one. */
export function* findRecord(
  data: DataReader,
  inode: InodeInfo,
  blockSize: number,
  name: string,
): Flow<Record | undefined> {
  const wanted = encodeName(name);
  let low = 0;
  let high = Math.ceil(inode.stat.size / blockSize) - 1;
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    const block = new DirectoryBlock(yield* data.read(inode, middle * blockSize, blockSize), inode);
    if (compareBytes(wanted, block.nameBytes(0)) < 0) high = middle - 1;
    else if (compareBytes(wanted, block.nameBytes(block.count - 1)) > 0) low = middle + 1;
    else return findInBlock(block, wanted);
  }
  return undefined;
}

function findInBlock(block: DirectoryBlock, wanted: Uint8Array): Record | undefined {
  let low = 0;
  let high = block.count - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const order = compareBytes(wanted, block.nameBytes(middle));
    if (order === 0) return block.record(middle);
    if (order < 0) high = middle - 1;
    else low = middle + 1;
  }
  return undefined;
}

function bad(inode: InodeInfo, reason: string): ErofsError {
  return damaged(
    'EROFS_BAD_DIRECTORY',
    `Cannot read the directory of inode ${inode.nid}: ${reason}`,
    inode.offset,
  );
}
