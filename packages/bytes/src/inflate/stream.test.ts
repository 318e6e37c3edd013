import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { AnoleError, InflateStream } from '../index.ts';
import { sampleText, skewedBytes } from '../testing/samples.ts';

/** Decodes a stream that comes in pieces of some length. */
function decode(stream: Uint8Array, step: number, inflater = new InflateStream()): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += step) {
    inflater.write(stream.subarray(at, at + step));
    for (let piece = inflater.read(); piece.length > 0; piece = inflater.read()) {
      parts.push(piece.slice());
    }
  }
  assert.ok(inflater.ended);
  assert.equal(inflater.unused, 0);
  return new Uint8Array(Buffer.concat(parts));
}

for (const [name, options] of [
  ['level 1', { level: 1 }],
  ['level 9', { level: 9 }],
  ['stored', { level: 0 }],
  ['fixed codes', { strategy: constants.Z_FIXED }],
  ['codes without matches', { strategy: constants.Z_HUFFMAN_ONLY }],
  ['runs', { strategy: constants.Z_RLE }],
  ['a small window', { windowBits: 9 }],
  ['small blocks', { memLevel: 1 }],
] as const) {
  test(`streams of zlib decode as they come: ${name}`, () => {
    const inflater = new InflateStream();
    for (const bytes of [sampleText, skewedBytes, new Uint8Array(700_000), new Uint8Array(0)]) {
      const stream = deflateRawSync(bytes, options);
      for (const step of [stream.length, 65_537, 1000, 7, 1]) {
        if (step === 1 && stream.length > 100_000) continue;
        inflater.start();
        assert.ok(Buffer.from(decode(stream, step, inflater)).equals(bytes), `pieces of ${step}`);
      }
    }
  });
}

test('decoding goes on at any boundary between blocks, with the window of that place', () => {
  const stream = deflateRawSync(sampleText, { memLevel: 1 });
  const inflater = new InflateStream();
  const places: (ReturnType<InflateStream['position']> & { in: number; out: number })[] = [];
  inflater.stopAt = 0;
  inflater.write(stream);
  for (;;) {
    const piece = inflater.read();
    if (inflater.atBoundary) {
      const out = inflater.produced;
      places.push({ ...inflater.position(), in: stream.length - inflater.unused, out });
      inflater.stopAt = out + 1;
    } else if (piece.length === 0) break;
  }
  assert.ok(places.length > 10);
  assert.ok(new Set(places.map(({ bits }) => bits)).size === 8);
  for (const place of places) {
    inflater.start(place);
    const rest = decode(stream.subarray(place.in), 4096, inflater);
    assert.ok(Buffer.from(rest).equals(sampleText.subarray(place.out)), `from ${place.out}`);
  }
});

test('whatever the input, decoding ends with an error of its own, or wants more', () => {
  const inflater = new InflateStream();
  const stream = deflateRawSync(sampleText.subarray(0, 3000));
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 30 }),
      fc.nat(stream.length),
      fc.integer({ min: 1, max: 400 }),
      (bytes, at, step) => {
        const damaged = Uint8Array.from(stream);
        damaged.set(bytes.subarray(0, damaged.length - at), at);
        inflater.start();
        try {
          for (let from = 0; from < damaged.length; from += step) {
            inflater.write(damaged.subarray(from, from + step));
            while (inflater.read().length > 0);
          }
        } catch (error) {
          assert.ok(AnoleError.is(error) && error.code === 'DEFLATE_DAMAGED', String(error));
        }
      },
    ),
    { seed: 3, numRuns: 2000 },
  );
});

test('a match that reaches behind the beginning is refused', () => {
  const dictionary = Buffer.from('anole anole anole anole');
  const stream = deflateRawSync(dictionary, { dictionary });
  const inflater = new InflateStream();
  inflater.write(stream);
  assert.throws(() => inflater.read(), { code: 'DEFLATE_DAMAGED', message: /further back/ });
  inflater.start({ hold: 0, bits: 0, window: dictionary });
  assert.deepEqual(Buffer.from(decode(stream, 100, inflater)), dictionary);
});
