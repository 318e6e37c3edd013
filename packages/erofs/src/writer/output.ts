import type { TreeNode } from '@anole/vfs';

/** Bytes handed out at once. At least the largest block, so that the superblock's is in the first. */
const BUFFER_SIZE = 1024 * 1024;

/** A part of an image. */
export interface ImagePart {
  readonly offset: number;
  /** Valid until the next part is asked for. */
  readonly bytes: Uint8Array;
  /** Data that are still to be copied: into this part, and to where no other part lies. By rising `ino`. */
  readonly copies?: readonly FileCopy[];
}

/** Data of a file, and where in an image they belong. */
export interface FileCopy {
  readonly node: TreeNode;
  /** Number of the inode: those of one directory, and blocks next to each other, have rising numbers. */
  readonly ino: number;
  /** First byte of the file. */
  readonly from: number;
  /** So many bytes go to byte `to` of the image; what is left of their last block is zeros. */
  readonly length: number;
  readonly to: number;
  /** So many bytes behind them go to byte `tailTo` of the image, which lies in the part. */
  readonly tail: number;
  readonly tailTo: number;
}

/**
 * Gathers an image from pieces at rising offsets, in one buffer that is used again. Gaps are zeros.
 */
export class Output {
  readonly #least: number;
  readonly #buffer = new Uint8Array(BUFFER_SIZE);
  #offset = 0;
  #used = 0;
  /** What did not fit, and bytes of it. */
  #rest: Uint8Array[] = [];
  #restSize = 0;
  /** Those of the part that is being gathered. */
  copies: FileCopy[] = [];

  /** @param least bytes that the first part has at least, with zeros where nothing was put */
  constructor(least = 0) {
    this.#least = least;
  }

  /** Where the next piece goes. */
  get position(): number {
    return this.#offset + this.#used + this.#restSize;
  }

  /** Whether the image's first bytes are still here. */
  get isFirst(): boolean {
    return this.#offset === 0;
  }

  /** Whether {@link drain} has something. */
  get full(): boolean {
    return this.#used === BUFFER_SIZE || this.#rest.length > 0;
  }

  /** Copies bytes, more than the buffer has room for where need be. */
  append(bytes: Uint8Array): void {
    const count = this.#rest.length > 0 ? 0 : Math.min(bytes.length, BUFFER_SIZE - this.#used);
    this.#buffer.set(count === bytes.length ? bytes : bytes.subarray(0, count), this.#used);
    this.#used += count;
    if (count === bytes.length) return;
    this.#rest.push(bytes.slice(count));
    this.#restSize += bytes.length - count;
  }

  /** Room in the buffer, for `length` bytes at most and one at least: to be filled wholly. */
  room(length: number): Uint8Array {
    const start = this.#used;
    this.#used = Math.min(start + length, BUFFER_SIZE);
    return this.#buffer.subarray(start, this.#used);
  }

  /** Room for all of `length` bytes, to be filled wholly, or undefined where the buffer ends before. */
  roomFor(length: number): Uint8Array | undefined {
    return this.hasRoom(length) ? this.room(length) : undefined;
  }

  hasRoom(length: number): boolean {
    return this.#rest.length === 0 && this.#used + length <= BUFFER_SIZE;
  }

  /** Zeros up to `position`, as {@link skipTo}, where the buffer has room for them; else false. */
  pad(position: number): boolean {
    const count = position - this.position;
    if (!this.hasRoom(count)) return false;
    const end = this.#used + count;
    this.#buffer.fill(0, this.#used, end);
    this.#used = end;
    return true;
  }

  /** Zeros up to `position`, which is not before the present one. */
  *skipTo(position: number): Generator<ImagePart> {
    yield* this.drain();
    for (let left = position - this.position; left > 0; left = position - this.position) {
      this.room(left).fill(0);
      yield* this.drain();
    }
  }

  /** Goes on elsewhere. Everything before was given out. */
  jumpTo(position: number): void {
    this.#offset = position;
  }

  /** What is full. To be called before more is put in. */
  *drain(): Generator<ImagePart> {
    while (this.full) yield* this.flush();
  }

  /** All there is in the buffer. */
  *flush(): Generator<ImagePart> {
    if (this.isFirst && this.#used > 0) this.pad(Math.max(this.#least, this.#used));
    const { copies } = this;
    this.copies = [];
    copies.sort((a, b) => a.ino - b.ino);
    const bytes = this.#buffer.subarray(0, this.#used);
    if (this.#used > 0) yield { offset: this.#offset, bytes, ...(copies.length > 0 && { copies }) };
    this.#offset += this.#used;
    this.#used = 0;
    const rest = this.#rest;
    this.#rest = [];
    this.#restSize = 0;
    for (const bytes of rest) this.append(bytes);
  }
}
