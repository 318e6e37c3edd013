import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { AnoleError, inflate } from '../index.ts';
import { skewedBytes as skewed, sampleText as text } from '../testing/samples.ts';

function refused(action: () => void): void {
  assert.throws(action, (error) => AnoleError.is(error) && error.code === 'DEFLATE_DAMAGED');
}

for (const [name, options] of [
  ['level 1', { level: 1 }],
  ['level 9', { level: 9 }],
  ['stored', { level: 0 }],
  ['fixed codes', { strategy: constants.Z_FIXED }],
  ['codes without matches', { strategy: constants.Z_HUFFMAN_ONLY }],
  ['a small window', { windowBits: 9 }],
] as const) {
  test(`streams of zlib decode: ${name}`, () => {
    for (const bytes of [text, skewed, new Uint8Array(70_000), new Uint8Array(0)]) {
      const stream = deflateRawSync(bytes, options);
      const output = new Uint8Array(bytes.length);
      inflate(stream, output);
      assert.deepEqual(output, bytes);
      refused(() => inflate(stream, new Uint8Array(bytes.length + 1), { partial: true }));
      if (bytes.length === 0) continue;
      const part = new Uint8Array(777);
      inflate(stream, part, { partial: true });
      assert.deepEqual(part, bytes.subarray(0, 777));
      refused(() => inflate(stream, part));
      refused(() => inflate(stream.subarray(0, stream.length >> 1), output));
    }
  });
}

test('streams of any bytes decode', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(9), (bytes, level) => {
      const output = new Uint8Array(bytes.length);
      inflate(deflateRawSync(bytes, { level }), output);
      assert.deepEqual(output, bytes);
    }),
    { seed: 1, numRuns: 200 },
  );
});

test('whatever the input, inflating ends with an error of its own or a full output', () => {
  const stream = deflateRawSync(text.subarray(0, 3000));
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 30 }),
      fc.nat(stream.length),
      fc.boolean(),
      (bytes, at, partial) => {
        const damaged = Uint8Array.from(stream);
        damaged.set(bytes.subarray(0, damaged.length - at), at);
        try {
          inflate(damaged, new Uint8Array(3000), { partial });
        } catch (error) {
          assert.ok(AnoleError.is(error) && error.code === 'DEFLATE_DAMAGED', String(error));
        }
      },
    ),
    { seed: 2, numRuns: 2000 },
  );
});
