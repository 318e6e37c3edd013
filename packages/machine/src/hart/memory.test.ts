import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { HartError } from './errors.ts';
import { GuestMemory } from './guest-memory.ts';
import type { Bus } from './hart.ts';
import { BASE, makeHart, place, runOnce, type TestHart } from './testing.ts';

const DATA = 0x8000_8000;
const VALUE = 0x8182_8384_8586_8788n;

interface Access {
  readonly address: number;
  readonly size: number;
  readonly value?: number;
}

/** A device of 64 KiB at 0x1000_0000 that notes what is asked of it. */
function recorder(log: Access[]): Bus {
  return {
    contains: (address) => address >= 0x1000_0000 && address < 0x1001_0000,
    read(address, size) {
      log.push({ address, size });
      return size === 4 ? (address & 4 ? 0x89abcdef : 0x81234567) : 0xfe;
    },
    write: (address, size, value) => void log.push({ address, size, value }),
  };
}

describe('loads and stores', () => {
  let machine: TestHart;
  const log: Access[] = [];
  before(async () => {
    machine = await makeHart({ bus: recorder(log) });
  });

  const loads = [
    ['lb', 1, true],
    ['lh', 2, true],
    ['lw', 4, true],
    ['ld', 8, true],
    ['lbu', 1, false],
    ['lhu', 2, false],
    ['lwu', 4, false],
  ] as const;
  for (const [name, width, signed] of loads) {
    test(`${name} reads ${width} bytes at any alignment, also across pages`, () => {
      const { hart, memory } = machine;
      const extend = signed ? BigInt.asIntN : BigInt.asUintN;
      for (const page of [DATA, DATA + 0x1000 - 4]) {
        for (let offset = 0; offset < 8; offset++) {
          memory.writeU64(page + offset, VALUE);
          hart.writeX(11, BigInt(page + offset + 5));
          runOnce(machine, `${name} a0, -5(a1)\n${name} a2, -5(a1)`);
          const expected = BigInt.asUintN(64, extend(width * 8, VALUE));
          assert.equal(hart.readX(10), expected);
          assert.equal(hart.readX(12), expected);
        }
      }
    });
  }

  for (const [name, width] of [
    ['sb', 1],
    ['sh', 2],
    ['sw', 4],
    ['sd', 8],
  ] as const) {
    test(`${name} writes ${width} bytes at any alignment and no others`, () => {
      const { hart, memory } = machine;
      for (const page of [DATA, DATA + 0x1000 - 4]) {
        for (let offset = 0; offset < 8; offset++) {
          memory.writable(page - 8, 32).fill(0x55);
          hart.writeX(11, BigInt(page + offset));
          hart.writeX(10, VALUE);
          runOnce(machine, `${name} a0, 0(a1)\n${name} a0, 0(a1)`);
          const expected = new Uint8Array(32).fill(0x55);
          for (let i = 0; i < width; i++) expected[8 + offset + i] = 0x88 - i;
          assert.deepEqual(memory.readable(page - 8, 32).slice(), expected);
        }
      }
    });
  }

  test('devices get aligned accesses, 8 bytes as two of 4', () => {
    const { hart } = machine;
    hart.writeX(11, 0x1000_0000n);
    hart.writeX(12, VALUE);
    log.length = 0;
    runOnce(machine, 'lb a0, 0(a1)\nlw a3, 4(a1)\nld a4, 8(a1)\nsh a2, 2(a1)\nsd a2, 16(a1)');
    assert.deepEqual(log, [
      { address: 0x1000_0000, size: 1 },
      { address: 0x1000_0004, size: 4 },
      { address: 0x1000_0008, size: 4 },
      { address: 0x1000_000c, size: 4 },
      { address: 0x1000_0002, size: 2, value: 0x8788 },
      { address: 0x1000_0010, size: 4, value: 0x85868788 },
      { address: 0x1000_0014, size: 4, value: 0x81828384 },
    ]);
    assert.equal(hart.readX(10), BigInt.asUintN(64, -2n));
    assert.equal(hart.readX(13), BigInt.asUintN(64, BigInt(0x89abcdef | 0)));
    assert.equal(hart.readX(14), 0x89abcdef_81234567n);
  });

  test('where nothing answers, and for misaligned devices, accesses fault', () => {
    const { hart } = machine;
    const cases = [
      ['lw a0, 0(a1)', 0x2000_0000n, 5n],
      ['sw a0, 0(a1)', 0x2000_0000n, 7n],
      ['lw a0, 0(a1)', 0x1000_0001n, 5n],
      ['sw a0, 0(a1)', 0x1000_0002n, 7n],
      ['lr.w a0, (a1)', 0x1000_0000n, 5n],
      ['amoadd.w a0, a0, (a1)', 0x1000_0000n, 7n],
      ['ld a0, 0(a1)', 0xffff_ffff_ffff_fff8n, 5n],
      ['ld a0, 0(a1)', 0x8010_0000n - 4n, 5n],
      ['sd a0, 0(a1)', 0x8010_0000n - 4n, 7n],
    ] as const;
    for (const [source, address, cause] of cases) {
      hart.writeCsr(0x305, BigInt(BASE + 0x100));
      hart.writeX(11, address);
      runOnce(machine, source);
      assert.equal(hart.readCsr(0x342), cause, source);
      assert.equal(hart.readCsr(0x341), BigInt(BASE));
      assert.equal(hart.pc, BigInt(BASE + 0x100));
    }
    assert.equal(hart.readCsr(0x343), 0x8010_0000n, 'the page that failed');
  });

  test('odd addresses near zero and near the top are no empty entries of a TLB', () => {
    const { hart } = machine;
    for (const address of [1n, 3n, 7n, 0x401n, (1n << 64n) - 1n, 0x800n]) {
      for (const [name, cause] of [
        ['lh a0', 5n],
        ['lw a0', 5n],
        ['ld a0', 5n],
        ['sd a0', 7n],
      ] as const) {
        hart.writeCsr(0x342, 0n);
        hart.writeX(11, address);
        runOnce(machine, `addi zero, zero, 0\n${name}, 0(a1)`);
        assert.equal(hart.readCsr(0x342), cause, `${name} at ${address}`);
      }
    }
  });

  test('fetching where there is no RAM faults with the address', () => {
    const { hart } = machine;
    hart.pc = 0x1000_0000n;
    hart.run(1);
    assert.deepEqual([hart.readCsr(0x342), hart.readCsr(0x343)], [1n, 0x1000_0000n]);
  });

  test('code that the guest writes is what runs next', () => {
    const { hart } = machine;
    place(machine, 'sw a0, 8(a1)\nfence.i\naddi a2, zero, 1');
    hart.writeX(10, 0x00200613n); // addi a2, zero, 2
    hart.writeX(11, BigInt(BASE));
    hart.pc = BigInt(BASE);
    hart.run(3);
    assert.equal(hart.readX(12), 2n);
  });
});

describe('atomics', () => {
  let machine: TestHart;
  before(async () => {
    machine = await makeHart();
  });

  const s = (width: 4 | 8, value: bigint): bigint => BigInt.asIntN(width * 8, value);
  const u = (width: 4 | 8, value: bigint): bigint => BigInt.asUintN(width * 8, value);
  const results: Readonly<Record<string, (w: 4 | 8, old: bigint, operand: bigint) => bigint>> = {
    amoswap: (_w, _old, operand) => operand,
    amoadd: (_w, old, operand) => old + operand,
    amoxor: (_w, old, operand) => old ^ operand,
    amoand: (_w, old, operand) => old & operand,
    amoor: (_w, old, operand) => old | operand,
    amomin: (w, old, operand) => (s(w, old) < s(w, operand) ? old : operand),
    amomax: (w, old, operand) => (s(w, old) > s(w, operand) ? old : operand),
    amominu: (w, old, operand) => (u(w, old) < u(w, operand) ? old : operand),
    amomaxu: (w, old, operand) => (u(w, old) > u(w, operand) ? old : operand),
  };
  const operands = [0n, 1n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 1n << 63n, (1n << 64n) - 1n];
  for (const [name, result] of Object.entries(results)) {
    test(`${name} gives the old value and stores the new one`, () => {
      const { hart, memory } = machine;
      for (const width of [4, 8] as const) {
        const source = `${name}.${width === 4 ? 'w' : 'd'}.aqrl a0, a2, (a1)`;
        for (const old of operands) {
          for (const operand of operands) {
            for (const slow of [true, false]) {
              memory.writeU64(DATA, old);
              hart.writeX(11, BigInt(DATA));
              hart.writeX(12, operand);
              if (slow) runOnce(machine, source);
              else {
                hart.pc = BigInt(BASE);
                hart.run(1);
              }
              assert.equal(hart.readX(10), BigInt.asUintN(64, s(width, old)));
              const stored = width === 4 ? BigInt(memory.readU32(DATA)) : memory.readU64(DATA);
              assert.equal(stored, u(width, result(width, old, operand)));
              assert.equal(memory.readU32(DATA + 4) === Number(old >> 32n) || width === 8, true);
            }
          }
        }
      }
    });
  }

  test('sc stores after lr of the same address, once', () => {
    const { hart, memory } = machine;
    memory.writeU64(DATA, 5n);
    hart.writeX(11, BigInt(DATA));
    hart.writeX(12, 6n);
    runOnce(machine, 'lr.d a0, (a1)\nsc.d a3, a2, (a1)\nsc.d a4, zero, (a1)');
    assert.deepEqual([hart.readX(10), hart.readX(13), hart.readX(14)], [5n, 0n, 1n]);
    assert.equal(memory.readU64(DATA), 6n);
  });

  test('sc fails for another address, and after the value changed', () => {
    const { hart, memory } = machine;
    memory.writeU64(DATA, 5n);
    hart.writeX(11, BigInt(DATA));
    hart.writeX(12, BigInt(DATA + 8));
    runOnce(machine, 'lr.w a0, (a1)\nsc.w a3, a1, (a2)');
    assert.equal(hart.readX(13), 1n);
    runOnce(machine, 'lr.w a0, (a1)\nsw a2, 0(a1)\nsc.w a3, zero, (a1)');
    assert.equal(hart.readX(13), 1n);
    assert.equal(memory.readU32(DATA), DATA + 8);
  });

  test('misaligned ones trap', () => {
    const { hart } = machine;
    for (const [source, cause] of [
      ['lr.d a0, (a1)', 4n],
      ['amoor.d a0, a0, (a1)', 6n],
    ] as const) {
      hart.writeX(11, BigInt(DATA + 4));
      runOnce(machine, source);
      assert.deepEqual([hart.readCsr(0x342), hart.readCsr(0x343)], [cause, BigInt(DATA + 4)]);
    }
  });
});

describe('GuestMemory', () => {
  test('ranges outside of RAM are refused with a code', () => {
    const memory = new GuestMemory(1 << 16);
    const bad = { code: 'MACHINE_BAD_ADDRESS' };
    assert.throws(() => memory.readable(BASE - 1, 1), bad);
    assert.throws(() => memory.writable(BASE, (1 << 16) + 1), bad);
    assert.throws(() => memory.readU64(BASE + (1 << 16) - 7), bad);
    assert.throws(() => memory.readU32(Number.NaN), bad);
    assert.throws(() => memory.writeU8(BASE + 0.5, 1), bad);
    assert.equal(memory.contains(BASE, 1 << 16), true);
  });

  test('sizes are rounded up to 64 KiB and bounded', () => {
    assert.equal(new GuestMemory(1).size, 1 << 16);
    for (const size of [0, -1, Number.NaN, 2 ** 33]) {
      assert.throws(() => new GuestMemory(size), HartError);
    }
  });

  test('what is written is read back, in each width', () => {
    const memory = new GuestMemory(1 << 16);
    memory.writeU64(BASE, VALUE);
    assert.equal(memory.readU64(BASE), VALUE);
    assert.equal(memory.readU32(BASE + 4), 0x81828384);
    memory.writeU16(BASE, 0x1234);
    memory.writeU8(BASE + 2, 0xff);
    assert.equal(memory.readU16(BASE), 0x1234);
    assert.equal(memory.readU8(BASE + 2), 0xff);
    memory.writeU32(BASE, 7);
    assert.deepEqual([...memory.readable(BASE, 4)], [7, 0, 0, 0]);
  });
});
