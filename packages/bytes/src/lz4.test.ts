import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { AnoleError, decodeLz4, lz4EndFault, viewOf } from './index.ts';
import { decodeLz4Plainly } from './lz4.ts';
import { lz4Module } from './lz4-module.ts';
import { WasmDecoder } from './wasm-decoder.ts';

const noLz4 = spawnSync('lz4', ['--version']).error ? 'lz4 is not installed' : false;

/** The only block of a frame without checksums; undefined where the data did not shrink. */
function blockOf(text: Uint8Array, level: string): Uint8Array | undefined {
  const args = [level, '-B5', '-BI', '--no-frame-crc', '-c', '-'];
  const frame = new Uint8Array(spawnSync('lz4', args, { input: text }).stdout);
  // Source: lz4's doc/lz4_Frame_format.md: magic, FLG, BD, perhaps a size, a header checksum.
  const start = 7 + ((frame[4]! & 8) === 0 ? 0 : 8);
  const size = viewOf(frame).getUint32(start, true);
  return size > 0x7fffffff ? undefined : frame.slice(start + 4, start + 4 + size);
}

function repetitive(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at % 700 < 300 ? at % 7 : (at * at) >> 9));
}

function refused(action: () => void): void {
  assert.throws(action, (error) => AnoleError.is(error) && error.code === 'LZ4_DAMAGED');
}

for (const level of ['-1', '-9', '--fast=5']) {
  test(`blocks of lz4 ${level} decode, whole and in part`, { skip: noLz4 }, () => {
    for (const text of [repetitive(100_000), new Uint8Array(70_000), repetitive(300)]) {
      const block = blockOf(text, level)!;
      const whole = new Uint8Array(text.length);
      decodeLz4(block, whole);
      assert.deepEqual(whole, text);
      assert.equal(lz4EndFault(block, text.length), undefined);
      for (const part of [0, 1, 65, 255, text.length - 1]) {
        const output = new Uint8Array(part);
        decodeLz4(block, output, { partial: true });
        assert.deepEqual(output, text.subarray(0, part));
        assert.equal(lz4EndFault(block, part, true), undefined);
        refused(() => decodeLz4(block, output));
      }
      refused(() => decodeLz4(block, new Uint8Array(text.length + 1), { partial: true }));
    }
  });
}

function wholly(input: Uint8Array, output: Uint8Array): void {
  decodeLz4(input, output);
}

/** For small outputs too. */
function compiledOnly(input: Uint8Array, output: Uint8Array, partial: boolean): void {
  assert.ok(new WasmDecoder(lz4Module).decode(input, output, partial));
}

test('any literals and any match decode as written', () => {
  const literal = fc.uint8Array({ maxLength: 400 });
  const match = fc.record({
    distance: fc.integer({ min: 1 }),
    length: fc.integer({ min: 4, max: 900 }),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(literal, match), { maxLength: 12 }), literal, (pairs, last) => {
      const text: number[] = [];
      const block: number[] = [];
      const more = (value: number): void => {
        let rest = value - 15;
        for (; rest >= 255; rest -= 255) block.push(255);
        if (rest >= 0) block.push(rest);
      };
      for (const [bytes, { distance, length }] of pairs) {
        if (text.length + bytes.length === 0) continue;
        block.push((Math.min(15, bytes.length) << 4) | Math.min(15, length - 4));
        more(bytes.length);
        block.push(...bytes);
        text.push(...bytes);
        const back = 1 + ((distance - 1) % Math.min(text.length, 65535));
        block.push(back & 255, back >> 8);
        more(length - 4);
        for (let count = 0; count < length; count++) text.push(text[text.length - back]!);
      }
      block.push(Math.min(15, last.length) << 4);
      more(last.length);
      block.push(...last);
      text.push(...last);
      for (const decode of [decodeLz4Plainly, compiledOnly, wholly]) {
        const output = new Uint8Array(text.length);
        decode(Uint8Array.from(block), output, false);
        assert.deepEqual([...output], text);
      }
    }),
    { seed: 1, numRuns: 300 },
  );
});

test('compiled or not, damaged blocks decode to the same or not at all', { skip: noLz4 }, () => {
  const text = repetitive(5000);
  const block = blockOf(text, '-9')!;
  const compiled = new WasmDecoder(lz4Module);
  let decoded = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(block.length - 1), fc.nat(255)), { maxLength: 3 }),
      fc.integer({ min: 0, max: 6000 }),
      fc.boolean(),
      (changes, length, partial) => {
        const input = block.slice();
        for (const [at, value] of changes) input[at] = value;
        const [one, other] = [new Uint8Array(length), new Uint8Array(length)];
        let plainly = true;
        try {
          decodeLz4Plainly(input, one, partial);
        } catch {
          plainly = false;
        }
        assert.equal(compiled.decode(input, other, partial), plainly);
        if (!plainly) return;
        decoded++;
        assert.deepEqual(other, one);
      },
    ),
    { seed: 3, numRuns: 3000 },
  );
  assert.ok(decoded > 100);
});

test('whatever the input, decoding ends with an error of its own or a full output', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(3000),
      fc.boolean(),
      (input, length, partial) => {
        try {
          decodeLz4(input, new Uint8Array(length), { partial });
        } catch (error) {
          assert.ok(AnoleError.is(error) && error.code === 'LZ4_DAMAGED', String(error));
        }
      },
    ),
    { seed: 2, numRuns: 3000 },
  );
});
