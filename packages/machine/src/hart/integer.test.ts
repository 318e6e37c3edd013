import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { BASE, makeHart, place, type TestHart } from './testing.ts';

const ALL = (1n << 64n) - 1n;
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const s64 = (value: bigint): bigint => BigInt.asIntN(64, value);
const u32 = (value: bigint): bigint => BigInt.asUintN(32, value);
const s32 = (value: bigint): bigint => BigInt.asIntN(32, value);
const sh = (value: bigint, bits: number): bigint => BigInt(value & BigInt(bits - 1));
const flag = (value: boolean): bigint => (value ? 1n : 0n);

/** Truncating division by RISC-V's rules; bigint division truncates as well. */
const div = (a: bigint, b: bigint): bigint => (b === 0n ? -1n : a / b);
const rem = (a: bigint, b: bigint): bigint => (b === 0n ? a : a % b);

const rol = (value: bigint, by: bigint, bits: number): bigint =>
  BigInt.asUintN(bits, (value << by) | (value >> (BigInt(bits) - by)));

const bits = (value: bigint, width: number): string => value.toString(2).padStart(width, '0');
const clz = (value: bigint, width: number): bigint =>
  BigInt(width - (value === 0n ? 0 : value.toString(2).length));
const ctz = (value: bigint, width: number): bigint =>
  value === 0n ? BigInt(width) : BigInt(width - 1 - bits(value, width).lastIndexOf('1'));
const cpop = (value: bigint): bigint => BigInt(value.toString(2).replaceAll('0', '').length);

function mapBytes(value: bigint, map: (byte: bigint, index: number) => [bigint, number]): bigint {
  let out = 0n;
  for (let index = 0; index < 8; index++) {
    const [byte, to] = map((value >> BigInt(8 * index)) & 0xffn, index);
    out |= byte << BigInt(8 * to);
  }
  return out;
}

/** What each instruction gives for unsigned operands a (rs1) and b (rs2 or immediate). */
const reference: Readonly<Record<string, (a: bigint, b: bigint) => bigint>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  sll: (a, b) => a << sh(b, 64),
  slt: (a, b) => flag(s64(a) < s64(b)),
  sltu: (a, b) => flag(a < b),
  xor: (a, b) => a ^ b,
  srl: (a, b) => a >> sh(b, 64),
  sra: (a, b) => s64(a) >> sh(b, 64),
  or: (a, b) => a | b,
  and: (a, b) => a & b,
  addw: (a, b) => s32(a + b),
  subw: (a, b) => s32(a - b),
  sllw: (a, b) => s32(a << sh(b, 32)),
  srlw: (a, b) => s32(u32(a) >> sh(b, 32)),
  sraw: (a, b) => s32(a) >> sh(b, 32),
  mul: (a, b) => a * b,
  mulh: (a, b) => (s64(a) * s64(b)) >> 64n,
  mulhsu: (a, b) => (s64(a) * b) >> 64n,
  mulhu: (a, b) => (a * b) >> 64n,
  div: (a, b) => div(s64(a), s64(b)),
  divu: (a, b) => (b === 0n ? ALL : a / b),
  rem: (a, b) => rem(s64(a), s64(b)),
  remu: (a, b) => rem(a, b),
  mulw: (a, b) => s32(a * b),
  divw: (a, b) => s32(div(s32(a), s32(b))),
  divuw: (a, b) => (u32(b) === 0n ? ALL : s32(u32(a) / u32(b))),
  remw: (a, b) => s32(rem(s32(a), s32(b))),
  remuw: (a, b) => s32(rem(u32(a), u32(b))),
  sh1add: (a, b) => (a << 1n) + b,
  sh2add: (a, b) => (a << 2n) + b,
  sh3add: (a, b) => (a << 3n) + b,
  'add.uw': (a, b) => u32(a) + b,
  'sh1add.uw': (a, b) => (u32(a) << 1n) + b,
  'sh2add.uw': (a, b) => (u32(a) << 2n) + b,
  'sh3add.uw': (a, b) => (u32(a) << 3n) + b,
  andn: (a, b) => a & ~b,
  orn: (a, b) => a | u64(~b),
  xnor: (a, b) => ~(a ^ b),
  max: (a, b) => (s64(a) > s64(b) ? a : b),
  maxu: (a, b) => [a, b].sort((x, y) => (x < y ? 1 : -1))[0]!,
  min: (a, b) => (s64(a) < s64(b) ? a : b),
  minu: (a, b) => [a, b].sort((x, y) => (x < y ? -1 : 1))[0]!,
  rol: (a, b) => rol(a, sh(b, 64), 64),
  ror: (a, b) => rol(a, (64n - sh(b, 64)) % 64n, 64),
  rolw: (a, b) => s32(rol(u32(a), sh(b, 32), 32)),
  rorw: (a, b) => s32(rol(u32(a), (32n - sh(b, 32)) % 32n, 32)),
  bclr: (a, b) => a & ~(1n << sh(b, 64)),
  bset: (a, b) => a | (1n << sh(b, 64)),
  binv: (a, b) => a ^ (1n << sh(b, 64)),
  bext: (a, b) => (a >> sh(b, 64)) & 1n,
};

const unary: Readonly<Record<string, (a: bigint) => bigint>> = {
  clz: (a) => clz(a, 64),
  ctz: (a) => ctz(a, 64),
  cpop: (a) => cpop(a),
  clzw: (a) => clz(u32(a), 32),
  ctzw: (a) => ctz(u32(a), 32),
  cpopw: (a) => cpop(u32(a)),
  'sext.b': (a) => BigInt.asIntN(8, a),
  'sext.h': (a) => BigInt.asIntN(16, a),
  'zext.h': (a) => a & 0xffffn,
  rev8: (a) => mapBytes(a, (byte, index) => [byte, 7 - index]),
  'orc.b': (a) => mapBytes(a, (byte, index) => [byte === 0n ? 0n : 0xffn, index]),
};

/** Immediate forms: the register form that they are like, and the operands they take. */
const signedImmediates = [-2048n, -1n, 0n, 1n, 1365n, 2047n];
const shifts64 = [0n, 1n, 31n, 32n, 63n];
const shifts32 = [0n, 1n, 15n, 31n];
const immediate: Readonly<Record<string, readonly [like: string, readonly bigint[]]>> = {
  addi: ['add', signedImmediates],
  slti: ['slt', signedImmediates],
  sltiu: ['sltu', signedImmediates],
  xori: ['xor', signedImmediates],
  ori: ['or', signedImmediates],
  andi: ['and', signedImmediates],
  addiw: ['addw', signedImmediates],
  slli: ['sll', shifts64],
  srli: ['srl', shifts64],
  srai: ['sra', shifts64],
  slliw: ['sllw', shifts32],
  srliw: ['srlw', shifts32],
  sraiw: ['sraw', shifts32],
  rori: ['ror', shifts64],
  roriw: ['rorw', shifts32],
  bclri: ['bclr', shifts64],
  bseti: ['bset', shifts64],
  binvi: ['binv', shifts64],
  bexti: ['bext', shifts64],
};

const values = [
  0n,
  1n,
  2n,
  31n,
  0x7fn,
  0x80n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000000n,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0x0123456789abcdefn,
  0xfedcba9800000000n,
  ALL - 1n,
  ALL,
];

describe('integer instructions', () => {
  let machine: TestHart;
  before(async () => {
    machine = await makeHart();
  });

  /** The instruction by the fast loop, and by the slow step that a TLB miss leads to. */
  function results(source: string, a: bigint, b: bigint): bigint[] {
    const { hart } = machine;
    return [false, true].map((slow) => {
      hart.writeX(11, a);
      hart.writeX(12, b);
      hart.writeX(10, 0xdeadn);
      if (slow) hart.flushTlb();
      else warm();
      hart.pc = BigInt(BASE);
      assert.equal(hart.run(1), 'budget', source);
      assert.equal(hart.pc, BigInt(BASE + 4));
      return hart.readX(10);
    });
  }

  /** Executes a no-op of the page, so that its translation is known. */
  function warm(): void {
    machine.hart.pc = BigInt(BASE + 16);
    machine.hart.run(1);
  }

  function check(source: string, expected: (a: bigint, b: bigint) => bigint): void {
    place(machine, 'addi zero, zero, 0', BASE + 16);
    place(machine, source);
    for (const a of values) {
      for (const b of values) {
        const [quick, slow] = results(source, a, b);
        assert.equal(quick, u64(expected(a, b)), `${source} of ${a} and ${b}`);
        assert.equal(slow, quick, `${source} of ${a} and ${b}, slow`);
      }
    }
  }

  for (const [name, expected] of Object.entries(reference)) {
    test(`${name} gives what arithmetic says`, () => check(`${name} a0, a1, a2`, expected));
  }
  for (const [name, expected] of Object.entries(unary)) {
    test(`${name} gives what arithmetic says`, () => check(`${name} a0, a1`, expected));
  }
  for (const [name, [like, operands]] of Object.entries(immediate)) {
    test(`${name} is ${like} with an immediate`, () => {
      for (const operand of operands) {
        check(`${name} a0, a1, ${operand}`, (a) => reference[like]!(a, u64(operand)));
      }
    });
  }
  test('slli.uw shifts the zero-extended word', () => {
    for (const by of shifts64) check(`slli.uw a0, a1, ${by}`, (a) => u32(a) << by);
  });
  test('lui and auipc sign-extend their immediate', () => {
    check('lui a0, 524288', () => -(1n << 31n));
    check('lui a0, 74565', () => 0x12345000n);
    check('auipc a0, 1048575', () => BigInt(BASE) - 4096n);
  });
  test('x0 stays zero', () => {
    place(machine, 'addi zero, a1, 5\nadd a0, zero, zero');
    machine.hart.writeX(11, 7n);
    machine.hart.pc = BigInt(BASE);
    machine.hart.run(2);
    assert.equal(machine.hart.readX(0), 0n);
    assert.equal(machine.hart.readX(10), 0n);
  });

  const conditions: Readonly<Record<string, (a: bigint, b: bigint) => boolean>> = {
    beq: (a, b) => a === b,
    bne: (a, b) => a !== b,
    blt: (a, b) => s64(a) < s64(b),
    bge: (a, b) => s64(a) >= s64(b),
    bltu: (a, b) => a < b,
    bgeu: (a, b) => a >= b,
  };
  for (const [name, taken] of Object.entries(conditions)) {
    test(`${name} is taken exactly when its condition holds`, () => {
      const { hart } = machine;
      place(machine, `${name} a1, a2, target\naddi a0, a0, 1\ntarget: addi a0, a0, 2`);
      for (const a of values) {
        for (const b of values) {
          hart.writeX(10, 0n);
          hart.writeX(11, a);
          hart.writeX(12, b);
          hart.pc = BigInt(BASE);
          hart.run(taken(a, b) ? 2 : 3);
          assert.equal(hart.readX(10), taken(a, b) ? 2n : 3n);
        }
      }
    });
  }

  test('jumps link to the instruction after them, of 2 or 4 bytes', () => {
    const { hart, memory } = machine;
    place(machine, 'jal ra, 0x80010000');
    hart.pc = BigInt(BASE);
    hart.run(1);
    assert.deepEqual([hart.pc, hart.readX(1)], [0x8001_0000n, BigInt(BASE + 4)]);
    // c.jalr a1; and jalr whose base is its own link register, odd.
    memory.writeU16(BASE + 2, 0x9582);
    hart.writeX(11, 0x8000_1235n);
    hart.pc = BigInt(BASE + 2);
    hart.run(1);
    assert.deepEqual([hart.pc, hart.readX(1)], [0x8000_1234n, BigInt(BASE + 4)]);
    place(machine, 'jalr ra, 1(ra)', 0x8000_1234);
    hart.run(1);
    assert.deepEqual([hart.pc, hart.readX(1)], [BigInt(BASE + 4), 0x8000_1238n]);
  });

  test('a branch reaches another page, backwards and forwards', () => {
    const { hart } = machine;
    place(machine, 'bne sp, zero, 0x80001ff8', 0x8000_2ff8);
    place(machine, 'beq zero, zero, 0x80002ff4', 0x8000_1ff8);
    hart.writeX(2, 1n);
    hart.pc = 0x8000_2ff8n;
    hart.run(1);
    assert.equal(hart.pc, 0x8000_1ff8n);
    hart.run(1);
    assert.equal(hart.pc, 0x8000_2ff4n);
  });

  test('straight code runs on across the end of a page, also inside an instruction', () => {
    const { hart, memory } = machine;
    hart.writeX(10, 0n);
    for (let at = 0x8000_3ff0; at < 0x8000_3ffe; at += 2) memory.writeU16(at, 0x0505); // c.addi a0, 1
    const [add] = [0x00150513]; // addi a0, a0, 1 over the boundary
    memory.writeU16(0x8000_3ffe, add & 0xffff);
    memory.writeU16(0x8000_4000, add >>> 16);
    memory.writeU16(0x8000_4002, 0x0505);
    hart.pc = 0x8000_3ff0n;
    hart.run(9);
    assert.equal(hart.readX(10), 9n);
    assert.equal(hart.pc, 0x8000_4004n);
  });
});
