import type { BigIntStats } from 'node:fs';
import type { DeviceNumber, FileType, Stat, Timestamp } from '@anole/vfs';
import { deviceNumber, deviceOf, type InodeNumbers, typeOfMode } from './host-stat.ts';

/**
 * Words of a row, which are those of struct statx (linux/stat.h) that say what a Tree does. What has 64 bits
 * has its high word behind its low one; of times nanoseconds follow.
 */
const word = {
  nlink: 0,
  uid: 1,
  gid: 2,
  mode: 3,
  inode: 4,
  size: 6,
  blocks: 8,
  accessed: 10,
  changed: 13,
  modified: 16,
  special: 19,
  filesystem: 21,
} as const;
export const ROW_WORDS = 23;

/** For each word of a row that of struct statx, from its first byte on. */
const statxWords = [
  4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 24, 25, 26, 28, 29, 30, 32, 33, 34, 35,
] as const;

const identity = [word.inode, word.inode + 1, word.filesystem, word.filesystem + 1] as const;
const IDENTITY_WORDS = identity.length;

/** Its identity, its size, and the low word of the nanosecond at which it was written to. */
export const VERSION_WORDS = IDENTITY_WORDS + 3;

/** What it takes to open a file again and read it: its version and its mode. */
const KEY_WORDS = VERSION_WORDS + 1;

/** What is known of some files, by rows. */
export interface FileRows {
  type(row: number): FileType;
  size(row: number): number;
  /** Whether less is allocated than the file has bytes, as where it has holes. */
  isSparse(row: number): boolean;
  /** The words that tell one file of this machine from all others. */
  identity(row: number): number[];
  /** Puts those, and what is another when it was written to, {@link VERSION_WORDS}, to `words`, from `at` on. */
  putVersion(row: number, words: Uint32Array, at: number): void;
  /** In terms of a Tree. Undefined where that has been let go of. */
  stat(row: number): Stat | undefined;
}

/**
 * What stat(2) says of some files, a row of words for each: of a large tree objects would take several
 * times the room.
 */
export class StatRows implements FileRows {
  readonly words: Uint32Array<ArrayBuffer>;
  readonly #inodes: InodeNumbers;

  /**
   * @param rows how many, or those that another has filled
   * @param inodes that name files in the tree
   */
  constructor(rows: number | Uint32Array<ArrayBuffer>, inodes: InodeNumbers) {
    this.words = typeof rows === 'number' ? new Uint32Array(rows * ROW_WORDS) : rows;
    this.#inodes = inodes;
  }

  /** Fills a row by what Node says. */
  set(row: number, raw: BigIntStats): void {
    const words = this.words.subarray(row * ROW_WORDS, (row + 1) * ROW_WORDS);
    for (const field of ['nlink', 'uid', 'gid', 'mode'] as const) {
      words[word[field]] = Number(raw[field]);
    }
    putLong(words, word.inode, raw.ino);
    putLong(words, word.size, raw.size);
    putLong(words, word.blocks, raw.blocks);
    putTime(words, word.accessed, raw.atimeNs);
    putTime(words, word.changed, raw.ctimeNs);
    putTime(words, word.modified, raw.mtimeNs);
    putDevice(words, word.special, deviceOf(raw.rdev));
    putDevice(words, word.filesystem, deviceOf(raw.dev));
  }

  /** Fills a row by struct statx. */
  setStatx(row: number, statx: Uint32Array): void {
    const start = row * ROW_WORDS;
    for (let at = 0; at < ROW_WORDS; at++) this.words[start + at] = statx[statxWords[at]!]!;
    // The upper half is no part of the mode.
    this.words[start + word.mode]! &= 0xffff;
  }

  type(row: number): FileType {
    return typeOfMode(this.#get(row, word.mode));
  }

  size(row: number): number {
    return this.#long(row, word.size);
  }

  isSparse(row: number): boolean {
    return this.#long(row, word.blocks) * 512 < this.size(row);
  }

  /** That of the tree. */
  ino(row: number): number {
    const { words } = this;
    const at = row * ROW_WORDS + word.inode;
    const high = words[at + 1]!;
    const inode =
      high < 2 ** 20 ? this.#long(row, word.inode) : (BigInt(high) << 32n) | BigInt(words[at]!);
    return this.#inodes.of(deviceNumber(this.#device(row, word.filesystem)), inode);
  }

  identity(row: number): number[] {
    return identity.map((field) => this.#get(row, field));
  }

  putVersion(row: number, words: Uint32Array, at: number): void {
    for (let index = 0; index < IDENTITY_WORDS; index++) {
      words[at + index] = this.#get(row, identity[index]!);
    }
    words[at + IDENTITY_WORDS] = this.#get(row, word.size);
    words[at + IDENTITY_WORDS + 1] = this.#get(row, word.size + 1);
    words[at + IDENTITY_WORDS + 2] = this.#written(row);
  }

  /** Whether a row is about the file whose version stands in `words` from `at` on. */
  isOf(row: number, words: Uint32Array, at: number): boolean {
    for (let index = 0; index < IDENTITY_WORDS; index++) {
      if (this.#get(row, identity[index]!) !== words[at + index]) return false;
    }
    return true;
  }

  /** The same, and it was not written to since. */
  isVersion(row: number, words: Uint32Array, at: number): boolean {
    return (
      this.isOf(row, words, at) &&
      this.#get(row, word.size) === words[at + IDENTITY_WORDS] &&
      this.#get(row, word.size + 1) === words[at + IDENTITY_WORDS + 1] &&
      this.#written(row) === words[at + IDENTITY_WORDS + 2]
    );
  }

  mode(row: number): number {
    return this.#get(row, word.mode);
  }

  stat(row: number): Stat {
    const type = this.type(row);
    const isDevice = type === 'character' || type === 'block';
    return {
      ino: this.ino(row),
      type,
      mode: this.#get(row, word.mode) & 0o7777,
      uid: this.#get(row, word.uid),
      gid: this.#get(row, word.gid),
      size: this.size(row),
      nlink: this.#get(row, word.nlink),
      mtime: this.#time(row, word.modified),
      atime: this.#time(row, word.accessed),
      ctime: this.#time(row, word.changed),
      allocated: this.#long(row, word.blocks) * 512,
      ...(isDevice && { rdev: this.#device(row, word.special) }),
    };
  }

  #get(row: number, field: number): number {
    return this.words[row * ROW_WORDS + field]!;
  }

  #long(row: number, field: number): number {
    const low = this.#get(row, field);
    const high = this.#get(row, field + 1);
    // Most are small integers, and stay so, which saves memory.
    return high === 0 ? low : (high | 0) * 2 ** 32 + low;
  }

  #written(row: number): number {
    const seconds = Math.imul(this.#get(row, word.modified), 1_000_000_000);
    return (seconds + this.#get(row, word.modified + 2)) >>> 0;
  }

  #time(row: number, field: number): Timestamp {
    return { seconds: this.#long(row, field), nanoseconds: this.#get(row, field + 2) };
  }

  #device(row: number, field: number): DeviceNumber {
    return { major: this.#get(row, field), minor: this.#get(row, field + 1) };
  }
}

/** Of rows the few words that are needed to read files: of very many files the others are let go of. */
export class KeyRows implements FileRows {
  readonly #words: Uint32Array;

  /** @param count of rows */
  constructor(count: number) {
    this.#words = new Uint32Array(count * KEY_WORDS);
  }

  set(row: number, rows: StatRows, from: number): void {
    rows.putVersion(from, this.#words, row * KEY_WORDS);
    this.#words[row * KEY_WORDS + VERSION_WORDS] = rows.mode(from);
  }

  type(row: number): FileType {
    return typeOfMode(this.#words[row * KEY_WORDS + VERSION_WORDS]!);
  }

  size(row: number): number {
    const at = row * KEY_WORDS + IDENTITY_WORDS;
    return (this.#words[at + 1]! | 0) * 2 ** 32 + this.#words[at]!;
  }

  /** Not known any more: it may be. */
  isSparse(): boolean {
    return true;
  }

  identity(row: number): number[] {
    const at = row * KEY_WORDS;
    return [...this.#words.subarray(at, at + IDENTITY_WORDS)];
  }

  putVersion(row: number, words: Uint32Array, at: number): void {
    const from = row * KEY_WORDS;
    for (let index = 0; index < VERSION_WORDS; index++) {
      words[at + index] = this.#words[from + index]!;
    }
  }

  stat(): undefined {
    return undefined;
  }
}

function putLong(words: Uint32Array, field: number, value: bigint): void {
  words[field] = Number(value & 0xffffffffn);
  words[field + 1] = Number((value >> 32n) & 0xffffffffn);
}

function putTime(words: Uint32Array, field: number, time: bigint): void {
  const billion = 1_000_000_000n;
  const nanoseconds = ((time % billion) + billion) % billion;
  putLong(words, field, (time - nanoseconds) / billion);
  words[field + 2] = Number(nanoseconds);
}

function putDevice(words: Uint32Array, field: number, { major, minor }: DeviceNumber): void {
  words[field] = major;
  words[field + 1] = minor;
}
