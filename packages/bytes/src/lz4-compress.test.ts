import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeLz4 } from './lz4.ts';
import { type Lz4Filler, lz4Filler } from './lz4-compress.ts';

const levels = [0, 3, 9, 12];

/** Encodes a source as blocks of `room` bytes, and decodes each. Returns the number of blocks. */
function roundTrip(filler: Lz4Filler, source: Uint8Array, room: number): number {
  filler.begin(source);
  const target = new Uint8Array(room);
  let blocks = 0;
  for (let at = 0; at < source.length; blocks++) {
    const { consumed, produced } = filler.fill(at, target);
    assert.ok(consumed > 0 && produced > 0 && produced <= room && at + consumed <= source.length);
    const back = new Uint8Array(consumed);
    decodeLz4(target.subarray(0, produced), back);
    assert.ok(Buffer.from(back).equals(source.subarray(at, at + consumed)));
    // What follows fits in none of the room that is left.
    if (at + consumed < source.length) assert.ok(produced >= room - 20);
    at += consumed;
  }
  return blocks;
}

/** Bytes with matches of all lengths and distances in them. */
const compressible = fc
  .array(
    fc.oneof(
      fc.record({ bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }) }),
      fc.record({ back: fc.integer({ min: 1, max: 70_000 }), count: fc.nat(600) }),
    ),
    { minLength: 1, maxLength: 60 },
  )
  .map((parts) => {
    const out: number[] = [];
    for (const part of parts) {
      if ('bytes' in part) out.push(...part.bytes);
      else if (out.length > 0) {
        const distance = ((part.back - 1) % out.length) + 1;
        for (let count = part.count; count > 0; count--) out.push(out[out.length - distance]!);
      }
    }
    return Uint8Array.from(out);
  });

for (const level of levels) {
  test(`blocks of level ${level} decode to what went in, whatever the room`, () => {
    const filler = lz4Filler(level);
    fc.assert(
      fc.property(compressible, fc.integer({ min: 16, max: 5000 }), (source, room) => {
        roundTrip(filler, source, room);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  test(`level ${level} fills blocks from real files`, () => {
    const source = readFileSync(process.execPath).subarray(0, 600_000);
    for (const room of [4096, 65536]) roundTrip(lz4Filler(level), source, room);
  });

  test(`level ${level} takes zeros and noise`, () => {
    const filler = lz4Filler(level);
    assert.equal(roundTrip(filler, new Uint8Array(900_000), 4096), 1);
    const noise = Uint8Array.from(
      { length: 50_000 },
      (_, at) => Math.imul(at, at ^ 0x9e3779b1) >> 13,
    );
    roundTrip(filler, noise, 4096);
  });
}

test('too little room takes nothing', () => {
  for (const level of levels) {
    const filler = lz4Filler(level);
    filler.begin(new Uint8Array(100));
    assert.deepEqual(filler.fill(0, new Uint8Array(0)), { consumed: 0, produced: 0 });
  }
});

test('higher levels get more into a block', () => {
  const source = readFileSync(process.execPath).subarray(1_000_000, 1_400_000);
  const blocks = [0, 3, 9].map((level) => roundTrip(lz4Filler(level), source, 4096));
  assert.ok(blocks[0]! > blocks[1]! && blocks[1]! >= blocks[2]!);
});
