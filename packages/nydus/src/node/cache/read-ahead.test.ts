import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { evenChunks } from './chunks.ts';
import { ReadAhead } from './read-ahead.ts';

const CHUNK = 16 * 1024;
const KIB = 1024;

/** A blob whose readers are waited for one by one: what is asked for is here at the next read. */
class Blob {
  readonly #asked = new Set<number>();
  readonly #readAhead: ReadAhead;
  readonly #size: number;
  waits = 0;
  wanted = 0;

  constructor(size: number) {
    this.#size = size;
    this.#readAhead = new ReadAhead(evenChunks(size, CHUNK), (index) => this.#asked.has(index));
  }

  get asked(): number {
    return this.#asked.size * CHUNK;
  }

  read(offset: number, length: number): void {
    const before = this.#asked.size;
    this.#ask(offset, offset + length);
    if (this.#asked.size === before) return;
    this.waits++;
    this.wanted += (this.#asked.size - before) * CHUNK;
    for (const [start, end] of this.#readAhead.behind(offset, length, true)) {
      assert.ok(start < end && end <= this.#size, `${start} to ${end}`);
      this.#ask(start, end);
    }
  }

  #ask(start: number, end: number): void {
    for (let at = start; at < end; at += CHUNK - (at % CHUNK)) {
      this.#asked.add(Math.floor(at / CHUNK));
    }
  }
}

describe('what readers will want next', () => {
  it('is the rest of what a kernel reads at once, in pieces', () => {
    const blob = new Blob(64 << 20);
    for (const piece of [0, 64, 128]) blob.read((8192 + piece) * KIB, 64 * KIB);
    assert.deepEqual([blob.waits, blob.asked], [1, 192 * KIB]);
  });

  it('is no more than a file, where a file is read in order', () => {
    const blob = new Blob(64 << 20);
    for (let at = 0; at < 320; at += 64) blob.read((9000 + at) * KIB, 64 * KIB);
    assert.ok(blob.asked <= 480 * KIB, `${blob.asked} bytes`);
  });

  it('is a region of which much has been asked for, and no more', () => {
    const blob = new Blob(64 << 20);
    for (let at = 0; at < 1024; at += 64) blob.read((1024 + ((at * 5) % 1024)) * KIB, 4 * KIB);
    assert.ok(blob.waits <= 5, `${blob.waits} waits for 16 reads`);
    assert.ok(blob.asked <= 1280 * KIB, `${blob.asked} bytes`);
  });

  it('comes before a reader that goes on, faster and faster', () => {
    const blob = new Blob(64 << 20);
    for (let at = 0; at < 32 << 20; at += 64 * KIB) blob.read(at, 64 * KIB);
    assert.ok(blob.waits <= 30, `${blob.waits} waits for 512 reads`);
    assert.ok(blob.asked <= 36 << 20);
  });

  it('is never out of proportion to what they wanted', () => {
    const reads = fc.array(fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 16 })));
    fc.assert(
      fc.property(reads, (all) => {
        const blob = new Blob(256 * 64 * KIB);
        for (const [place, length] of all) {
          const offset = place * 64 * KIB;
          blob.read(offset, Math.min(length * 4 * KIB, 256 * 64 * KIB - offset));
        }
        const besides = blob.wanted + blob.waits * 128 * KIB;
        assert.ok(3 * blob.asked <= 10 * besides, `${blob.asked} for ${blob.wanted}`);
      }),
      { numRuns: 300, seed: 7 },
    );
  });
});
