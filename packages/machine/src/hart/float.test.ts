import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { instructions } from '../isa/table.ts';
import { hasFusedMultiplyAdd } from './interpreter/has-fused.ts';
import { BASE, makeHart, place, type TestHart } from './testing.ts';

const FFLAGS = 0x001;
const FRM = 0x002;
const FCSR = 0x003;
const MSTATUS = 0x300;
const FS_DIRTY = 3n << 13n;
const FS_CLEAN = 2n << 13n;
const BOX = 0xffffffff00000000n;

const doubles = [
  0n,
  0x8000000000000000n,
  0x3ff0000000000000n, // 1
  0xbff0000000000000n,
  0x4000000000000000n,
  0x3ff0000000000001n,
  0x3fb999999999999an, // 0.1
  0x4037e00000000000n, // 23.875
  0xc0dfffe000000000n,
  0x41dfffffffc00000n, // 2^31 - 1
  0x41e0000000000000n,
  0x41efffffffe00000n, // 2^32 - 1
  0x43dfffffffffffffn,
  0x43e0000000000000n, // 2^63
  0xc3e0000000000000n,
  0xc3e0000000000001n,
  0x43f0000000000000n,
  0x4340000000000001n, // 2^53 + 2
  0xbfe0000000000000n, // -0.5
  0xbfefffffffffffffn,
  0x0010000000000000n, // smallest normal
  0x0010000000000001n,
  0x000fffffffffffffn,
  0x0000000000000001n,
  0x3810000000000000n, // smallest normal single
  0x380fffffe0000000n,
  0x47efffffe0000000n, // largest single
  0x47effffff0000000n,
  0x7fefffffffffffffn,
  0xffefffffffffffffn,
  0x1ff0000000000000n, // square is tiny
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000000n,
  0x7ff0000000000001n, // signaling NaN
  0xfff8000000000123n,
];
const singles = [
  0n,
  0x80000000n,
  0x3f800000n,
  0xbf800000n,
  0x3f800001n,
  0x3dcccccdn,
  0x41bf0000n,
  0x4effffffn,
  0x4f000000n,
  0xcf000000n,
  0x4f7fffffn,
  0x5effffffn,
  0x5f000000n,
  0x00800000n,
  0x00800001n,
  0x007fffffn,
  1n,
  0x7f7fffffn,
  0xff7fffffn,
  0x1f800000n,
  0x7f800000n,
  0xff800000n,
  0x7fc00000n,
  0x7f800001n,
].map((bits) => bits | BOX);
const integers = [
  0n,
  1n,
  -1n,
  0x7fffffffn,
  -0x80000000n,
  0xffffffffn,
  (1n << 53n) + 1n,
  -(1n << 53n) - 1n,
  1n << 24n,
  (1n << 24n) + 1n,
  (1n << 63n) - 1n,
  -(1n << 63n),
].map((value) => BigInt.asUintN(64, value));

/** A register of another width than the instruction's: not a boxed single. */
const unboxed = 0x3f800000n;

const bigints = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? `${value}` : value;

describe('floating point', () => {
  let machine: TestHart;
  before(async () => {
    machine = await makeHart();
    place(machine, 'addi zero, zero, 0', BASE + 16);
  });

  interface Outcome {
    readonly f: bigint;
    readonly x: bigint;
    readonly fcsr: bigint;
  }

  function execute(operands: readonly bigint[], fcsr: bigint, slow: boolean): Outcome {
    const { hart } = machine;
    hart.writeCsr(MSTATUS, FS_DIRTY);
    hart.writeCsr(FCSR, fcsr);
    for (const [index, value] of operands.entries()) hart.writeF(11 + index, value);
    hart.writeX(11, operands[0]!);
    hart.writeF(10, 0xdeadn);
    hart.writeX(10, 0xdeadn);
    if (slow) hart.flushTlb();
    else {
      hart.pc = BigInt(BASE + 16);
      hart.run(1);
    }
    hart.pc = BigInt(BASE);
    hart.run(1);
    return { f: hart.readF(10), x: hart.readX(10), fcsr: hart.readCsr(FCSR) };
  }

  const arithmetic = instructions.filter(
    ({ name, semantics }) => JSON.stringify(semantics, bigints).includes('"float"') && name !== '',
  );
  for (const { name, syntax, fields } of arithmetic) {
    test(`${name}: the host's arithmetic and the exact way agree in result and flags`, () => {
      const single = /\.s$|\.s\.(w|l)u?$/.test(name) && name !== 'fcvt.s.d';
      const values = syntax.includes('frs1')
        ? single
          ? [...singles, unboxed]
          : doubles
        : integers;
      const operands = syntax.split(', ').filter((each) => /frs\d|rs1/.test(each));
      const plain = operands.map((each) => (each === 'rs1' ? 'a1' : `fa${each.at(-1)}`));
      const target = syntax.startsWith('frd') ? 'fa0' : 'a0';
      const modes = fields.has('rm') ? [',dyn', ',rtz'] : [''];
      for (const mode of modes) {
        place(machine, `${name} ${[target, ...plain].join(',')}${mode}`);
        for (const set of combinations(values, operands.length)) {
          for (const fcsr of [0n, 1n, 0x61n]) {
            const [quick, exact] = [execute(set, fcsr, false), execute(set, fcsr, true)];
            assert.deepEqual(quick, exact, `${name}${mode} of ${set.map((v) => v.toString(16))}`);
          }
        }
      }
    });
  }

  test('results are boxed, and sign and NaN rules are those of the standard', () => {
    const { hart } = machine;
    const run = (source: string, a: bigint, b: bigint): bigint => {
      place(machine, source);
      return execute([a, b], 0n, true).f;
    };
    assert.equal(
      run('fadd.s fa0, fa1, fa2', 0x3f800000n | BOX, 0x3f800000n | BOX),
      0x40000000n | BOX,
    );
    assert.equal(run('fadd.s fa0, fa1, fa2', 0x3f800000n, 0x3f800000n | BOX), 0x7fc00000n | BOX);
    assert.equal(run('fsgnjn.s fa0, fa1, fa1', 0x3f800000n | BOX, 0n), 0xbf800000n | BOX);
    assert.equal(run('fsgnj.s fa0, fa1, fa2', 0x12345n, 0x80000000n | BOX), 0xffc00000n | BOX);
    assert.equal(run('fsgnjx.d fa0, fa1, fa2', 1n << 63n, 1n << 63n), 0n);
    assert.equal(run('fmin.d fa0, fa1, fa2', 0n, 1n << 63n), 1n << 63n);
    assert.equal(run('fmax.d fa0, fa1, fa2', 0n, 0xfff8000000000123n), 0n);
    assert.equal(hart.readCsr(FFLAGS), 0n);
  });

  test('without FS every instruction of F and D is illegal', () => {
    const { hart } = machine;
    for (const source of ['fadd.d fa0, fa1, fa2', 'fld fa0, 0(sp)', 'fmv.x.d a0, fa0']) {
      place(machine, source);
      hart.writeCsr(MSTATUS, 0n);
      hart.writeCsr(0x342, 0n);
      hart.pc = BigInt(BASE);
      hart.run(1);
      assert.equal(hart.readCsr(0x342), 2n, source);
    }
  });

  test('writing a register or a flag makes FS dirty; reading does not', () => {
    const { hart } = machine;
    const statusAfter = (source: string): bigint => {
      place(machine, source);
      hart.writeCsr(MSTATUS, FS_CLEAN);
      hart.pc = BigInt(BASE);
      hart.run(1);
      return hart.readCsr(MSTATUS) & FS_DIRTY;
    };
    hart.writeX(2, BigInt(BASE + 0x1000));
    assert.equal(statusAfter('fsd fa0, 0(sp)'), FS_CLEAN);
    assert.equal(statusAfter('fld fa0, 0(sp)'), FS_DIRTY);
    assert.equal(statusAfter('csrrs a0, 0x3, zero'), FS_CLEAN);
    assert.equal(statusAfter('csrrwi zero, 0x1, 0'), FS_DIRTY);
    assert.notEqual(hart.readCsr(MSTATUS) >> 63n, 0n, 'SD');
  });

  test('reserved rounding modes are illegal, in the instruction and in frm', () => {
    const { hart } = machine;
    const causeOf = (word: number, frm: bigint): bigint => {
      machine.memory.writeU32(BASE, word);
      hart.writeCsr(MSTATUS, FS_DIRTY);
      hart.writeCsr(FCSR, 1n);
      hart.writeCsr(FRM, frm);
      hart.writeCsr(0x342, 0n);
      hart.pc = BigInt(BASE);
      hart.run(1);
      return hart.readCsr(0x342);
    };
    const fadd = 0x02c58553; // fadd.d fa0, fa1, fa2, rne
    assert.equal(causeOf(fadd, 5n), 0n);
    for (const rm of [5, 6]) assert.equal(causeOf(fadd | (rm << 12), 0n), 2n);
    for (const frm of [5n, 6n, 7n]) assert.equal(causeOf(fadd | (7 << 12), frm), 2n);
  });

  test('the probe for a fused multiply-add gives an answer', async () => {
    assert.equal(typeof (await hasFusedMultiplyAdd()), 'boolean');
  });
});

/** All tuples for one and two operands; for three, each pair with some thirds. */
function combinations(values: readonly bigint[], count: number): bigint[][] {
  if (count === 1) return values.map((value) => [value]);
  const pairs = values.flatMap((a) => values.map((b) => [a, b]));
  if (count === 2) return pairs;
  return pairs.flatMap(([a, b], index) =>
    [0, 7, 13].map((step) => [a!, b!, values[(index * 5 + step) % values.length]!]),
  );
}
