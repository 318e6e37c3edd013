import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AnoleError } from '@anole/bytes';
import { GuestMemory } from '../hart/guest-memory.ts';
import { repeatableRandom } from '../run/repeatable-random.ts';
import { loadElf, parseElf } from './elf.ts';
import { buildElf, code } from './testing/programs.ts';

const body = code('ecall\nwfi');
const elf = buildElf({ code: body, symbols: { other: 1, tohost: 0x8000_1000 } });

describe('an ELF program', () => {
  it('is read: entry, segments, the symbols asked for', () => {
    const program = parseElf(elf, ['tohost', 'fromhost']);
    assert.equal(program.entry, 0x8000_0000n);
    assert.deepEqual([...program.symbols], [['tohost', 0x8000_1000]]);
    const memory = new GuestMemory(0x1_0000);
    loadElf(program, elf, memory);
    assert.deepEqual(memory.readable(0x8000_0000, body.length), body);
  });

  it('loses the page of headers that a linker put below RAM', () => {
    const copy = elf.slice();
    const view = new DataView(copy.buffer);
    const below = 64 + 56;
    view.setBigUint64(64 + 8, 0n, true);
    view.setBigUint64(64 + 24, BigInt(0x8000_0000 - below), true);
    for (const field of [32, 40]) view.setBigUint64(64 + field, BigInt(below + body.length), true);
    const memory = new GuestMemory(0x1_0000);
    loadElf(parseElf(copy, []), copy, memory);
    assert.deepEqual(memory.readable(0x8000_0000, body.length), body);
  });

  it('for another architecture is refused by name', () => {
    for (const [offset, value, name] of [
      [18, 62, 'x86-64'],
      [18, 183, 'arm64'],
      [4, 1, 'riscv32'],
      [18, 999, 'ELF machine 999'],
    ] as const) {
      const copy = elf.slice();
      copy[offset] = value;
      if (offset === 18) new DataView(copy.buffer).setUint16(18, value, true);
      assert.throws(
        () => parseElf(copy, []),
        (error: Error & { code?: string }) =>
          error.code === 'MACHINE_WRONG_ARCHITECTURE' && error.message.includes(name),
      );
    }
  });

  it('outside RAM is refused', () => {
    const high = buildElf({ code: body, address: 0x9000_0000 });
    const memory = new GuestMemory(0x1_0000);
    assert.throws(() => loadElf(parseElf(high, []), high, memory), { code: 'MACHINE_BAD_ELF' });
  });

  it('that was damaged gives coded errors only', () => {
    const next = repeatableRandom(3);
    const random = new Uint8Array(4);
    const memory = new GuestMemory(0x1_0000);
    for (let round = 0; round < 3000; round++) {
      const copy = elf.slice(0, round % 7 === 0 ? round % elf.length : elf.length);
      for (let i = 0; i < 3 && copy.length > 0; i++) {
        next(random);
        copy[(random[0]! | (random[1]! << 8)) % copy.length] = random[2]! & 1 ? 0xff : random[3]!;
      }
      try {
        loadElf(parseElf(copy, ['tohost', 'fromhost']), copy, memory);
      } catch (error) {
        assert.ok(AnoleError.is(error), String(error));
      }
    }
  });
});
