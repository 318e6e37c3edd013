import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeLz4 } from '../lz4.ts';
import { LZ4_SCRATCH_SIZE, LZ4_SLACK, lz4Filler } from './filler.ts';

const levels = [0, 3, 9, 12];

/** Sources lie from the first byte that is not the filler's on, targets behind them. */
const memory = new WebAssembly.Memory({ initial: 64 });
const bytes = new Uint8Array(memory.buffer);
const fillers = new Map(levels.map((level) => [level, lz4Filler(level, memory)]));

/** Encodes a source as blocks of `room` bytes, and decodes each. Returns the number of blocks. */
function roundTrip(level: number, source: Uint8Array, room: number): number {
  const start = LZ4_SCRATCH_SIZE;
  const end = start + source.length;
  const target = end + LZ4_SLACK;
  bytes.set(source, start);
  bytes.fill(0xaa, target, target + room + 2 * LZ4_SLACK);
  let blocks = 0;
  for (let at = start; at < end; blocks++) {
    const { consumed, produced } = fillers.get(level)!.fill(at, end, target, room);
    assert.ok(consumed > 0 && produced > 0 && produced <= room && at + consumed <= end);
    assert.equal(bytes[target + room + LZ4_SLACK], 0xaa);
    const back = new Uint8Array(consumed);
    decodeLz4(bytes.subarray(target, target + produced), back);
    assert.ok(Buffer.from(back).equals(bytes.subarray(at, at + consumed)));
    assertEndsAsOthersNeed(bytes.subarray(target, target + produced), consumed);
    // What follows fits in none of the room that is left.
    if (at + consumed < end) assert.ok(produced >= room - 20);
    at += consumed;
  }
  return blocks;
}

/**
 * Other decoders copy more than a sequence has, and refuse a block whose end leaves no room for that. Source: lz4
 * doc/lz4_Block_format.md, "End of block restrictions"; Linux lib/lz4/lz4_decompress.c.
 */
function assertEndsAsOthersNeed(block: Uint8Array, decoded: number): void {
  let at = 0;
  let out = 0;
  const lengthFrom = (nibble: number) => {
    let length = nibble;
    if (nibble === 15)
      do length += block[at]!;
      while (block[at++] === 255);
    return length;
  };
  for (let lastMatch: number | undefined; ; ) {
    const token = block[at++]!;
    const literals = lengthFrom(token >> 4);
    at += literals;
    out += literals;
    if (at === block.length) {
      if (lastMatch === undefined) return;
      assert.ok(literals >= 5, `${literals} literals at the end`);
      assert.ok(lastMatch <= decoded - 12, `a match ${decoded - lastMatch} bytes before the end`);
      return;
    }
    lastMatch = out;
    at += 2;
    out += 4 + lengthFrom(token & 15);
  }
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
    fc.assert(
      fc.property(compressible, fc.integer({ min: 16, max: 5000 }), (source, room) => {
        roundTrip(level, source, room);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  test(`level ${level} fills blocks from real files`, () => {
    const source = readFileSync(process.execPath).subarray(0, 600_000);
    for (const room of [4096, 65536]) roundTrip(level, source, room);
  });

  test(`level ${level} ends blocks well wherever a source ends`, () => {
    const source = readFileSync(join(import.meta.dirname, '../../../../LICENSE'));
    for (let length = 4000; length < 8000; length++) {
      roundTrip(level, source.subarray(0, length), 65_536);
    }
  });

  test(`level ${level} takes zeros and noise`, () => {
    assert.equal(roundTrip(level, new Uint8Array(900_000), 4096), 1);
    const noise = Uint8Array.from(
      { length: 50_000 },
      (_, at) => Math.imul(at, at ^ 0x9e3779b1) >> 13,
    );
    roundTrip(level, noise, 4096);
  });

  test(`too little room takes nothing at level ${level}`, () => {
    const nothing = { consumed: 0, produced: 0 };
    const start = LZ4_SCRATCH_SIZE;
    assert.deepEqual(fillers.get(level)!.fill(start, start + 100, start + 200, 0), nothing);
  });
}

test('memory that threads share gives the same blocks', () => {
  const source = readFileSync(process.execPath).subarray(2_000_000, 2_100_000);
  const shared = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true });
  for (const each of [memory, shared]) new Uint8Array(each.buffer).set(source, LZ4_SCRATCH_SIZE);
  const end = LZ4_SCRATCH_SIZE + source.length;
  const filler = lz4Filler(9, shared);
  const one = filler.fill(LZ4_SCRATCH_SIZE, end, end + LZ4_SLACK, 16_384);
  const other = fillers.get(9)!.fill(LZ4_SCRATCH_SIZE, end, end + LZ4_SLACK, 16_384);
  assert.deepEqual(one, other);
  const block = (each: WebAssembly.Memory) => Buffer.from(each.buffer, end + LZ4_SLACK, 16_384);
  assert.ok(block(shared).equals(block(memory)));
});

test('higher levels get more into a block', () => {
  const source = readFileSync(process.execPath).subarray(1_000_000, 1_400_000);
  const blocks = [0, 3, 9, 12].map((level) => roundTrip(level, source, 4096));
  assert.deepEqual(
    blocks,
    blocks.toSorted((a, b) => b - a),
  );
  assert.ok(blocks[0]! > blocks[3]!);
});
