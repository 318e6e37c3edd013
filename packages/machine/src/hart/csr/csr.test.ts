import assert from 'node:assert/strict';
import { before, beforeEach, describe, test } from 'node:test';
import { Interrupt } from '../hart.ts';
import { BASE, makeHart, place, type TestHart } from '../testing.ts';
import { csrs } from './table.ts';

const ALL = (1n << 64n) - 1n;
const UXL_SXL = (2n << 32n) | (2n << 34n);

describe('CSRs', () => {
  let machine: TestHart;
  before(async () => {
    machine = await makeHart();
  });
  beforeEach(() => {
    machine.hart.reset({ pc: BigInt(BASE) });
    machine.hart.writeCsr(0x305, BigInt(BASE + 0x1000));
  });

  /** What reads back after all ones were written, and after zero. */
  const masks: Readonly<Record<string, readonly [ones: bigint, zeros: bigint]>> = {
    sstatus: [0x80000002000c6122n, 2n << 32n],
    sie: [0n, 0n],
    stvec: [0n, 0n],
    scounteren: [0xffffffffn, 0n],
    senvcfg: [1n, 0n],
    sscratch: [ALL, 0n],
    sepc: [ALL - 1n, 0n],
    scause: [ALL, 0n],
    stval: [ALL, 0n],
    mstatus: [0x8000000a007e79aan, UXL_SXL],
    misa: [(2n << 62n) | 0x14112dn, (2n << 62n) | 0x14112dn],
    medeleg: [0xb3ffn, 0n],
    mideleg: [0x222n, 0n],
    mie: [0xaaan, 0n],
    mcounteren: [0xffffffffn, 0n],
    menvcfg: [(1n << 63n) | 1n, 0n],
    mcountinhibit: [5n, 0n],
    mscratch: [ALL, 0n],
    mepc: [ALL - 1n, 0n],
    mcause: [ALL, 0n],
    mtval: [ALL, 0n],
    mip: [0x222n, 0n],
    satp: [0n, 0n],
    pmpaddr0: [(1n << 54n) - 1n, 0n],
    fcsr: [0xffn, 0n],
    mhartid: [0n, 0n],
    mhpmcounter3: [0n, 0n],
  };
  const numbers = new Map([...csrs].map(([number, { name }]) => [name, number]));
  for (const [name, [ones, zeros]] of Object.entries(masks)) {
    test(`${name} keeps the bits it has`, () => {
      const { hart } = machine;
      const number = numbers.get(name)!;
      hart.writeCsr(number, ALL);
      assert.equal(hart.readCsr(number).toString(16), ones.toString(16));
      hart.writeCsr(number, 0n);
      assert.equal(hart.readCsr(number).toString(16), zeros.toString(16));
    });
  }

  test('MPP takes no reserved mode', () => {
    const { hart } = machine;
    hart.writeCsr(0x300, 1n << 11n);
    hart.writeCsr(0x300, 2n << 11n);
    assert.equal(hart.readCsr(0x300) & (3n << 11n), 1n << 11n);
  });

  test('sie and sip show and change what is delegated alone', () => {
    const { hart } = machine;
    hart.writeCsr(0x303, 0x202n);
    hart.writeCsr(0x104, ALL);
    assert.equal(hart.readCsr(0x304), 0x202n);
    hart.writeCsr(0x344, 0x222n);
    assert.equal(hart.readCsr(0x144), 0x202n);
    hart.writeCsr(0x144, 0n);
    assert.equal(hart.readCsr(0x344), 0x220n, 'only SSIP');
    hart.writeCsr(0x344, 0n);
  });

  test('an external line that is up does not stick when mip is modified', () => {
    const { hart } = machine;
    hart.setInterrupt(Interrupt.supervisorExternal, true);
    place(machine, 'csrrsi a0, 0x344, 2');
    hart.run(1);
    assert.equal(hart.readX(10), 0x200n);
    hart.setInterrupt(Interrupt.supervisorExternal, false);
    assert.equal(hart.readCsr(0x344), 0x002n);
    hart.writeCsr(0x344, 0n);
  });

  test('set and clear with x0 read without writing, csrrw with x0 writes without reading', () => {
    const { hart } = machine;
    place(
      machine,
      'csrrs a0, 0xf14, zero\ncsrrci a1, 0xf14, 0\ncsrrw zero, 0x340, a2\ncsrrsi a3, 0x340, 3\ncsrrc a4, 0x340, a5',
    );
    hart.writeX(12, 0x10n);
    hart.writeX(15, 0x11n);
    hart.run(5);
    assert.equal(hart.pc, BigInt(BASE + 20), 'no trap');
    assert.deepEqual([hart.readX(13), hart.readX(14)], [0x10n, 0x13n]);
    assert.equal(hart.readCsr(0x340), 2n);
    place(machine, 'csrrs a0, 0xf14, a2');
    hart.pc = BigInt(BASE);
    hart.run(1);
    assert.equal(hart.readCsr(0x342), 2n, 'writes of a read-only CSR trap');
  });

  test('minstret and mcycle count instructions; traps do not retire', () => {
    const { hart } = machine;
    place(machine, 'csrrw zero, 0xb02, zero\naddi a0, a0, 1\ncsrrs a0, 0xb02, zero\necall');
    place(machine, 'csrrs a1, 0xb02, zero', BASE + 0x1000);
    hart.run(5);
    assert.equal(hart.readX(10), 1n);
    assert.equal(hart.readX(11), 2n);
  });

  test('a counter that is inhibited stands still', () => {
    const { hart } = machine;
    place(
      machine,
      'csrrwi zero, 0x320, 4\ncsrrs a0, 0xb02, zero\naddi a2, a2, 1\ncsrrs a1, 0xb02, zero\ncsrrwi zero, 0x320, 0\ncsrrs a3, 0xb02, zero',
    );
    hart.run(6);
    assert.equal(hart.readX(10), hart.readX(11));
    assert.equal(hart.readX(13), hart.readX(10));
  });

  test('counters are seen by S and U as mcounteren and scounteren allow', () => {
    const { hart } = machine;
    const attempt = (mode: 'S' | 'U', m: bigint, s: bigint): bigint => {
      hart.reset({ pc: BigInt(BASE), mode });
      hart.writeCsr(0x305, BigInt(BASE + 0x1000));
      hart.writeCsr(0x302, 0n);
      hart.writeCsr(0x306, m);
      hart.writeCsr(0x106, s);
      place(machine, 'csrrs a0, 0xc01, zero');
      hart.run(1);
      return hart.readCsr(0x342);
    };
    assert.equal(attempt('S', 0n, 0n), 2n);
    assert.equal(attempt('S', 2n, 0n), 0n);
    assert.equal(attempt('U', 2n, 0n), 2n);
    assert.equal(attempt('U', 0n, 2n), 2n);
    assert.equal(attempt('U', 2n, 2n), 0n);
  });

  test('locked and reserved PMP entries stay as they are', () => {
    const { hart } = machine;
    hart.writeCsr(0x3a0, 0x9f02n);
    assert.equal(hart.readCsr(0x3a0), 0x9f00n, 'W without R is reserved');
    hart.writeCsr(0x3a0, 0x001fn);
    assert.equal(hart.readCsr(0x3a0), 0x9f1fn);
  });
});
