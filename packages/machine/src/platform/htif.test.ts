import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GuestMemory } from '../hart/guest-memory.ts';
import { formatSignature, Htif } from './htif.ts';

const TOHOST = 0x8000_1000;
const FROMHOST = 0x8000_1040;
const BLOCK = 0x8000_2000;
const TEXT = 0x8000_3000;

function build() {
  const memory = new GuestMemory(0x1_0000);
  const printed: number[] = [];
  const htif = new Htif({
    memory,
    tohost: TOHOST,
    fromhost: FROMHOST,
    output: (bytes) => printed.push(...bytes),
  });
  const ask = (value: bigint) => {
    memory.writeU64(TOHOST, value);
    return htif.poll();
  };
  const call = (...words: bigint[]) => {
    words.forEach((word, i) => {
      memory.writeU64(BLOCK + 8 * i, word);
    });
    return ask(BigInt(BLOCK));
  };
  return { memory, printed, ask, call, htif };
}

describe('the host-target interface', () => {
  it('ends a program with the code it gives', () => {
    const { ask, htif } = build();
    assert.equal(htif.poll(), undefined);
    assert.equal(ask(1n), 0);
    assert.equal(ask((1337n << 1n) | 1n), 1337);
  });

  it('prints characters and takes the request back', () => {
    const { memory, ask, printed } = build();
    assert.equal(ask((1n << 56n) | (1n << 48n) | 0x41n), undefined);
    assert.deepEqual(printed, [0x41]);
    assert.equal(memory.readU64(TOHOST), 0n);
  });

  it('serves write and exit', () => {
    const { memory, call, printed } = build();
    memory.writable(TEXT, 2).set([0x68, 0x69]);
    assert.equal(call(64n, 1n, BigInt(TEXT), 2n), undefined);
    assert.deepEqual(printed, [0x68, 0x69]);
    assert.equal(memory.readU64(BLOCK), 2n);
    assert.equal(memory.readU64(FROMHOST), 1n);
    assert.equal(call(93n, 9n), 9);
  });

  it('answers what it cannot do with an error number, and survives wild addresses', () => {
    const { memory, call, ask } = build();
    const result = () => BigInt.asIntN(64, memory.readU64(BLOCK));
    call(64n, 5n, BigInt(TEXT), 2n);
    assert.equal(result(), -9n);
    call(64n, 1n, 0x10n, 2n);
    assert.equal(result(), -14n);
    call(64n, 1n, (1n << 64n) - 1n, (1n << 64n) - 1n);
    assert.equal(result(), -14n);
    call(1234n);
    assert.equal(result(), -38n);
    assert.equal(ask(0x10n), undefined);
    assert.equal(ask((7n << 56n) | 2n), undefined);
  });
});

describe('a signature', () => {
  it('is written as little-endian words, the last one padded', () => {
    const bytes = Uint8Array.of(0x78, 0x56, 0x34, 0x12, 0xff);
    assert.equal(formatSignature(bytes), '12345678\n000000ff\n');
    assert.equal(formatSignature(bytes.subarray(0, 4), 2), '5678\n1234\n');
  });
});
