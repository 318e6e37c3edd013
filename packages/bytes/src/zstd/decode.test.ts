import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { AnoleError, decodeZstd } from '../index.ts';

function mixed(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => {
    const part = (at >> 10) % 4;
    if (part === 0) return at % 13;
    if (part === 1) return Math.imul(at, 0x9e3779b1) >>> 24;
    return part === 2 ? (at * at) >> 9 : 97 + (Math.imul(at >> 2, 0x85ebca77) >>> 29);
  });
}

const texts = [
  mixed(700_000),
  new Uint8Array(300_000),
  mixed(900).subarray(0, 800),
  Uint8Array.of(7),
  new Uint8Array(0),
];

function compress(text: Uint8Array, level: number): Uint8Array {
  return zstdCompressSync(text, { params: { [constants.ZSTD_c_compressionLevel]: level } });
}

function refused(action: () => void): void {
  assert.throws(action, (error) => AnoleError.is(error) && error.code === 'ZSTD_DAMAGED');
}

for (const level of [-5, 1, 3, 9, 19]) {
  test(`frames of level ${level} decode, whole and in part`, () => {
    for (const text of texts) {
      const frame = compress(text, level);
      const output = new Uint8Array(text.length);
      decodeZstd(frame, output);
      assert.deepEqual(output, text);
      refused(() => decodeZstd(frame, new Uint8Array(text.length + 1), { partial: true }));
      if (text.length < 2) continue;
      const part = new Uint8Array(text.length >> 1);
      decodeZstd(frame, part, { partial: true });
      assert.deepEqual(part, text.subarray(0, part.length));
      refused(() => decodeZstd(frame, part));
    }
  });
}

test('frames of any repeating bytes decode', () => {
  const piece = fc.tuple(
    fc.uint8Array({ minLength: 1, maxLength: 60 }),
    fc.integer({ min: 1, max: 9 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.constantFrom(1, 5, 12), (pieces, level) => {
      const text = Uint8Array.from(
        pieces.flatMap(([bytes, times]) => new Array(times).fill([...bytes]).flat()),
      );
      const output = new Uint8Array(text.length);
      decodeZstd(compress(text, level), output);
      assert.deepEqual(output, text);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test('whatever the input, decoding ends with an error of its own or a full output', () => {
  const frame = compress(mixed(20_000).subarray(3000), 5);
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 6 }),
      fc.nat(frame.length),
      fc.boolean(),
      (bytes, at, partial) => {
        const damaged = Uint8Array.from(frame);
        damaged.set(bytes.subarray(0, damaged.length - at), at);
        try {
          decodeZstd(damaged, new Uint8Array(17_000), { partial });
        } catch (error) {
          assert.ok(AnoleError.is(error) && error.code === 'ZSTD_DAMAGED', String(error));
        }
      },
    ),
    { seed: 2, numRuns: 3000 },
  );
});
