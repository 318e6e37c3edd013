import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterBitOf, prefixIndexOf } from './xattr-names.ts';
import { xxh32 } from './xxh32.ts';

/** The sanity buffer of xxHash's own test (tests/sanity_test.c): bytes of a 64-bit generator. */
function sanityBuffer(length: number): Uint8Array {
  let state = 0x9e3779b1n;
  return Uint8Array.from({ length }, () => {
    const byte = Number(state >> 56n);
    state = (state * 0x9e3779b185ebca8dn) & 0xffffffffffffffffn;
    return byte;
  });
}

test('xxh32 gives the published values', () => {
  const buffer = sanityBuffer(222);
  const seed = 0x9e3779b1;
  for (const [length, without, withSeed] of [
    [0, 0x02cc5d05, 0x36b78ae7],
    [1, 0xcf65b03e, 0xb4545aa4],
    [14, 0x1208e7e2, 0x6af1d1fe],
    [222, 0x5bd11dbd, 0x58803c5f],
  ] as const) {
    assert.equal(xxh32(buffer.subarray(0, length)), without);
    assert.equal(xxh32(buffer.subarray(0, length), seed), withSeed);
  }
});

test('attribute names divide into a known prefix and the rest', () => {
  assert.equal(prefixIndexOf('user.mime_type'), 1);
  assert.equal(prefixIndexOf('system.posix_acl_access'), 2);
  assert.equal(prefixIndexOf('system.posix_acl_access.x'), undefined);
  assert.equal(prefixIndexOf('security.capability'), 6);
  assert.equal(prefixIndexOf('user.'), undefined);
  assert.equal(prefixIndexOf('nameless'), undefined);
  for (let index = 1; index < 7; index++) assert.ok(filterBitOf(new Uint8Array(3), index) < 32);
});
