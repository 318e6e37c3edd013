import assert from 'node:assert/strict';
import { test } from 'node:test';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { kernel } from './crc/kernel.ts';
import { moduleBytes } from './crc/module-bytes.ts';
import { adler32, crc32, crc32c } from './index.ts';

const ascii = (text: string) => new TextEncoder().encode(text);

test('checksums give the published values', () => {
  assert.equal(crc32c(ascii('123456789')), 0xe3069283);
  assert.equal(crc32(ascii('123456789')), 0xcbf43926);
  assert.equal(adler32(ascii('Wikipedia')), 0x11e60398);
  // RFC 3720 appendix B.4.
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
});

test('a checksum goes on from the one before', () => {
  const all = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 7919) >> 3);
  fc.assert(
    fc.property(fc.nat(all.length), (cut) => {
      const [head, tail] = [all.subarray(0, cut), all.subarray(cut)];
      for (const sum of [crc32c, crc32, adler32]) assert.equal(sum(tail, sum(head)), sum(all));
    }),
    { seed: 1, numRuns: 50 },
  );
});

test('crc32 agrees with zlib on bytes of any length and alignment', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(7), (bytes, skip) => {
      const part = bytes.subarray(skip);
      assert.equal(crc32(part), zlib.crc32(part));
    }),
    { seed: 1 },
  );
});

test('crc32 agrees with zlib on long pieces, in whatever memory', () => {
  const all = new Uint8Array(new SharedArrayBuffer(200_000));
  for (let at = 0; at < all.length; at++) all[at] = (at * 7919) >> 3;
  const places = fc.tuple(fc.nat(100), fc.integer({ min: 200, max: all.length - 100 }));
  fc.assert(
    fc.property(places, fc.nat(2 ** 32 - 1), ([start, length], previous) => {
      const part = all.subarray(start, start + length);
      assert.equal(crc32(part, previous), zlib.crc32(part, previous));
      // Byte by byte it is the same: below what is worth copying.
      let sum = previous;
      for (let at = 0; at < part.length; at += 100) sum = crc32c(part.subarray(at, at + 100), sum);
      assert.equal(crc32c(part, previous), sum);
    }),
    { seed: 1, numRuns: 60 },
  );
});

test('the code that sums is what its source makes', () => {
  assert.deepEqual(moduleBytes, kernel());
});
