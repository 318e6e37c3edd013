import { crc32 } from 'node:zlib';
import type { Chunks } from './chunks.ts';
import type { ByteRange } from './ranges.ts';

/** Bytes that have one sum: a page, since readers ask for pages, and what has one sum is read as a whole. */
const UNIT = 4096;
/** Sums that lie together in memory. */
const SEGMENT = 4096;

/**
 * CRC-32s of what was proven of a blob, by which it is known again when it is read from the file: against bits that
 * rot and writes of others, not against somebody who means it. Each chunk is cut into units from its beginning. They take
 * a thousandth of what was proven, in memory: a file is proven anew by each process, by digests.
 */
export class Sums {
  readonly #chunks: Chunks;
  readonly #segments = new Map<number, Uint32Array>();

  constructor(chunks: Chunks) {
    this.#chunks = chunks;
  }

  /** Notes chunks [first, end), whose bytes these are. */
  put(first: number, end: number, bytes: Uint8Array): void {
    const base = this.#chunks.offsetOf(first);
    for (const unit of this.#units(base, this.#chunks.offsetOf(end))) {
      const segment = Math.floor(unit.number / SEGMENT);
      const sums = this.#segments.get(segment) ?? new Uint32Array(SEGMENT);
      this.#segments.set(segment, sums);
      sums[unit.number % SEGMENT] = crc32(bytes.subarray(unit.start - base, unit.end - base));
    }
  }

  /** The units that have bytes of a range. */
  around(offset: number, length: number): ByteRange {
    const [start] = this.#unitAt(offset);
    const [, end] = this.#unitAt(offset + length - 1);
    return [start, end];
  }

  /** The chunks of which bytes, units that were noted, are not what was noted. */
  wrongIn(offset: number, bytes: Uint8Array): readonly number[] {
    const wrong: number[] = [];
    for (const { chunk, number, start, end } of this.#units(offset, offset + bytes.length)) {
      if (wrong.at(-1) === chunk) continue;
      const noted = this.#segments.get(Math.floor(number / SEGMENT))?.[number % SEGMENT];
      if (crc32(bytes.subarray(start - offset, end - offset)) !== noted) wrong.push(chunk);
    }
    return wrong;
  }

  #unitAt(offset: number): ByteRange {
    const chunk = this.#chunks.indexAt(offset);
    const from = this.#chunks.offsetOf(chunk);
    const start = offset - ((offset - from) % UNIT);
    return [start, Math.min(start + UNIT, this.#chunks.offsetOf(chunk + 1))];
  }

  /** The units of a range, which begins and ends with some. */
  *#units(offset: number, end: number) {
    for (let chunk = this.#chunks.indexAt(offset), at = offset; at < end; chunk++) {
      const from = this.#chunks.offsetOf(chunk);
      const until = Math.min(this.#chunks.offsetOf(chunk + 1), end);
      // Numbers of one chunk end before those of the next begin.
      const base = Math.floor(from / UNIT) + chunk;
      for (; at < until; at += UNIT) {
        const number = base + (at - from) / UNIT;
        yield { chunk, number, start: at, end: Math.min(at + UNIT, until) };
      }
      at = until;
    }
  }
}
