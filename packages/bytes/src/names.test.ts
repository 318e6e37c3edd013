import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeName, encodeName } from './index.ts';

test('names survive decoding and encoding whatever their bytes', () => {
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ maxLength: 40, min: 0x7e }),
    fc.string({ unit: 'binary' }).map((text) => new TextEncoder().encode(text)),
  );
  fc.assert(
    fc.property(hostile, (bytes) => {
      assert.deepEqual([...encodeName(decodeName(bytes))], [...bytes]);
    }),
    { seed: 1, numRuns: 1000 },
  );
});

test('different names stay different', () => {
  const byte = fc.uint8Array({ maxLength: 4, min: 0x70 });
  fc.assert(
    fc.property(byte, byte, (a, b) => {
      assert.equal(decodeName(a) === decodeName(b), Buffer.compare(a, b) === 0);
    }),
    { seed: 1, numRuns: 1000 },
  );
});

test('valid UTF-8 reads as itself, a stray byte as a lone surrogate', () => {
  assert.equal(decodeName(new TextEncoder().encode('naïve 文 🦎')), 'naïve 文 🦎');
  assert.equal(decodeName(Uint8Array.of(0x61, 0xff, 0x62)), 'a\udcffb');
  assert.equal(decodeName(Uint8Array.of(0xef, 0xbb, 0xbf)), '\ufeff');
});

test('UTF-8 that encodes a surrogate is kept byte by byte', () => {
  assert.equal(decodeName(Uint8Array.of(0xed, 0xb2, 0x80)), '\udced\udcb2\udc80');
});
