import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { AnoleError } from '../errors.ts';
import { ZstdFrames, type ZstdPart } from './frames.ts';

const checksum = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
const text = (length: number) => Buffer.from('any text, '.repeat(length)).subarray(0, length);
const random = Buffer.from(Uint8Array.from({ length: 200_000 }, (_, at) => (at * at * 7919) >>> 9));
const skippable = Buffer.from('572a4d1803000000616263', 'hex');

/** Frames of all kinds of blocks and headers, one of them skippable. */
const frames: readonly Buffer[] = [
  zstdCompressSync(text(10)),
  zstdCompressSync(Buffer.alloc(0)),
  skippable,
  zstdCompressSync(random, checksum),
  zstdCompressSync(new Uint8Array(1_000_000)),
  zstdCompressSync(text(300_000), checksum),
];
const stream = Buffer.concat(frames);

function split(chunks: Iterable<Uint8Array>): ZstdPart[][] {
  const scanner = new ZstdFrames();
  const found: ZstdPart[][] = [[]];
  for (const chunk of chunks) {
    for (const part of scanner.push(chunk)) {
      found.at(-1)!.push(part);
      if (part.isLast) found.push([]);
    }
  }
  scanner.end();
  return found.slice(0, -1);
}

const bytesOf = (parts: readonly ZstdPart[]) => Buffer.concat(parts.map(({ bytes }) => bytes));

describe('the frames of a zstd stream', () => {
  it('are told apart however their bytes come', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1 }), (lengths) => {
        const chunks: Buffer[] = [];
        for (let at = 0, next = 0; at < stream.length; next++) {
          const length = lengths[next % lengths.length]!;
          chunks.push(stream.subarray(at, at + length));
          at += length;
        }
        const found = split(chunks);
        assert.deepEqual(found.map(bytesOf), frames);
        assert.deepEqual(
          found.map((parts) => parts.every(({ isSkippable }) => isSkippable)),
          frames.map((frame) => frame === skippable),
        );
      }),
      { seed: 3, numRuns: 60 },
    );
  });

  it('that are damaged or cut off raise one coded error', () => {
    const code = { code: 'ZSTD_DAMAGED' };
    assert.throws(() => split([stream.subarray(0, -1)]), code);
    assert.throws(() => split([text(100)]), code);
    fc.assert(
      fc.property(fc.nat(stream.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Buffer.from(stream);
        damaged[at]! ^= change;
        try {
          split([damaged]);
        } catch (error) {
          assert.ok(AnoleError.is(error) && error.code === 'ZSTD_DAMAGED', String(error));
        }
      }),
      { seed: 3, numRuns: 300 },
    );
  });
});
