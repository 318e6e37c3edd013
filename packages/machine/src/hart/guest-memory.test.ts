import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assemble } from '../isa/assemble.ts';
import { createHart } from './create.ts';
import { GuestMemory } from './guest-memory.ts';

const BASE = 0x8000_0000;
const bus = { contains: () => false, read: () => 0, write: () => {} };

/** Memory whose pages hold their own number, and the list of those that were asked for. */
function numbered(size: number, code: Uint8Array = new Uint8Array(0)) {
  const asked: number[] = [];
  const memory = new GuestMemory(size, (page, target) => {
    asked.push(page);
    assert.equal(target.length, 4096);
    new Uint32Array(target.buffer, target.byteOffset, 1024).fill(page);
    if (page === 0) target.set(code);
  });
  return { memory, asked };
}

function program(...lines: string[]): Uint8Array {
  return new Uint8Array(assemble(lines.join('\n'), BigInt(BASE)).buffer);
}

describe('memory that is filled at its first touch', () => {
  it('asks for a page once, and for none that nobody needs', () => {
    const { memory, asked } = numbered(0x10_0000);
    assert.equal(memory.readU32(BASE + 0x3ffc), 3);
    assert.equal(memory.readU8(BASE + 0x3000), 3);
    assert.deepEqual([...memory.readable(BASE + 0x4ffe, 4)], [0, 0, 5, 0]);
    memory.writable(BASE + 0x7000, 0x2000).fill(1);
    memory.readable(BASE + 0x9000, 0);
    assert.deepEqual(asked, [3, 4, 5, 7, 8]);
    assert.ok(memory.isTouched(8));
    assert.ok(!memory.isTouched(9));
  });

  it('is filled for what the hart fetches, loads and stores', async () => {
    const code = program(
      'auipc t0, 0x10', // page 16
      'lw t1, 0(t0)',
      'auipc t2, 0x20', // page 32
      'sw t1, 4(t2)',
      'auipc t3, 0x30', // page 48
      'addi t3, t3, -18', // misaligned, over the end of page 47
      'lw t4, 0(t3)',
      'auipc t5, 0x40', // page 64
      'addi t5, t5, -28',
      'amoadd.w t6, t1, (t5)',
    );
    const { memory, asked } = numbered(0x10_0000, code);
    const hart = await createHart({ memory, bus, clock: { kind: 'instructions' } });
    hart.reset({ pc: BigInt(BASE) });
    hart.run(10);
    assert.deepEqual(asked, [0, 16, 32, 47, 48, 64]);
    assert.equal(hart.readX(6), 16n);
    assert.equal(hart.readX(29), 48n << 16n);
    assert.equal(hart.readX(31), 64n);
    assert.deepEqual([memory.readU32(BASE + 0x2_0000), memory.readU32(BASE + 0x2_000c)], [32, 16]);
    assert.equal(memory.readU32(BASE + 0x4_0000), 80);
  });

  it('is filled for page tables', async () => {
    const { memory, asked } = numbered(0x10_0000);
    const leaf = (page: number, bits: number) => (BigInt(BASE / 4096 + page) << 10n) | BigInt(bits);
    // Three levels on pages 1 to 3, the program on page 4.
    memory.writeU64(BASE + 0x1000, leaf(2, 1));
    memory.writeU64(BASE + 0x2000, leaf(3, 1));
    memory.writeU64(BASE + 0x3000 + 8 * 5, leaf(4, 0b11001011));
    memory.writable(BASE + 0x4000, 4).set(program('addi a0, a0, 1'));
    const pages = Array.from({ length: 5 }, (_, i) =>
      memory.readable(BASE + i * 4096, 4096).slice(),
    );
    asked.length = 0;
    const lazy = new GuestMemory(0x10_0000, (page, target) => {
      asked.push(page);
      target.set(pages[page]!);
    });
    const hart = await createHart({ memory: lazy, bus, clock: { kind: 'instructions' } });
    hart.reset({ pc: 0x5000n, mode: 'S' });
    hart.writeCsr(0x180, (8n << 60n) | BigInt(BASE / 4096 + 1));
    hart.run(1);
    assert.equal(hart.readX(10), 1n);
    assert.deepEqual(asked, [1, 2, 3, 4]);
  });
});
