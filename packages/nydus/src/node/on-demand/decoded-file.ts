import { crc32 } from 'node:zlib';
import type { DecodedStore } from '@anole/erofs';
import { type ScratchFile, scratchFile } from '@anole/host';

/** Bytes that are kept of all images together, and pieces of them. */
const MOST = 512 * 1024 * 1024;
/** Pieces that are remembered to have been decoded once. */
const ONCE = 8192;

/** Bytes of a piece that have one checksum. */
const UNIT = 4096;

interface Place {
  readonly offset: number;
  readonly length: number;
  /** CRC-32s of its parts of {@link UNIT} bytes. */
  readonly sums: Uint32Array;
}

/**
 * Decoded pieces of images in a file without a name, for those that are read through FUSE: what the kernel has given
 * up is decoded once more, and from then on read here. Only what is decoded a second time is kept, since most pieces
 * are wanted once. The oldest make room. Where the disk takes nothing, nothing is kept; where it gives something else,
 * the piece is decoded again.
 */
export class DecodedFile implements Disposable {
  readonly #directory: string;
  readonly #most: number;
  /** The oldest first, each behind the one before until the file begins anew. */
  readonly #places = new Map<string, Place>();
  #once = new Set<string>();
  #file: ScratchFile | undefined;
  #end = 0;
  #images = 0;
  #isBroken = false;

  /** @param directory where the file is made when it is needed; @param most bytes of it */
  constructor(directory: string, most: number = MOST) {
    this.#directory = directory;
    this.#most = most;
  }

  /** The part of one more image. */
  ofImage(): DecodedStore {
    const id = this.#images++;
    return {
      keep: (key, bytes) => this.#keep(`${id} ${key}`, bytes),
      readInto: (key, from, target) => this.#readInto(`${id} ${key}`, from, target),
    };
  }

  [Symbol.dispose](): void {
    this.#isBroken = true;
    this.#places.clear();
    this.#file?.[Symbol.dispose]();
    this.#file = undefined;
  }

  #readInto(key: string, from: number, target: Uint8Array): boolean {
    const place = this.#places.get(key);
    if (place === undefined || from + target.length > place.length) return false;
    if (this.#readRight(place, from, target)) return true;
    this.#places.delete(key);
    return false;
  }

  /** Fills `target`. False where the disk does not give what was written. */
  #readRight({ offset, length, sums }: Place, from: number, target: Uint8Array): boolean {
    const start = from - (from % UNIT);
    const end = Math.min(Math.ceil((from + target.length) / UNIT) * UNIT, length);
    const isWhole = end - start === target.length;
    const units = isWhole ? target : new Uint8Array(end - start);
    try {
      if (this.#file?.readInto(offset + start, units) !== units.length) return false;
    } catch {
      return false;
    }
    const isRight = sumsOf(units).every((sum, at) => sum === sums[start / UNIT + at]);
    if (!isWhole) target.set(units.subarray(from - start, from - start + target.length));
    return isRight;
  }

  #keep(key: string, bytes: Uint8Array): void {
    if (this.#isBroken || this.#places.has(key) || bytes.length > this.#most) return;
    if (!this.#once.delete(key)) {
      if (this.#once.size >= ONCE) this.#once = new Set();
      this.#once.add(key);
      return;
    }
    const offset = this.#room(bytes.length);
    try {
      this.#file ??= scratchFile(this.#directory);
      this.#file.write(offset, bytes);
    } catch {
      // The disk is full: what is kept is only what can be made again.
      this[Symbol.dispose]();
      return;
    }
    this.#places.set(key, { offset, length: bytes.length, sums: sumsOf(bytes) });
    this.#end = offset + bytes.length;
  }

  /** Where so many bytes go: behind the newest, or at the beginning. What lies there is given up. */
  #room(length: number): number {
    const offset = this.#end + length > this.#most ? 0 : this.#end;
    for (const [key, place] of this.#places) {
      const isBehind = offset === 0 && this.#end > 0 && place.offset >= this.#end;
      const isThere = place.offset < offset + length && place.offset + place.length > offset;
      if (!isBehind && !isThere) break;
      this.#places.delete(key);
    }
    return offset;
  }
}

function sumsOf(bytes: Uint8Array): Uint32Array {
  return Uint32Array.from({ length: Math.ceil(bytes.length / UNIT) }, (_, at) =>
    crc32(bytes.subarray(at * UNIT, (at + 1) * UNIT)),
  );
}
