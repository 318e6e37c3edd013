import assert from 'node:assert/strict';
import { before, beforeEach, describe, test } from 'node:test';
import { Interrupt, type PrivilegeMode } from './hart.ts';
import { BASE, makeHart, openPmp, place, type TestHart } from './testing.ts';

const M_HANDLER = BASE + 0x1000;
const S_HANDLER = BASE + 0x2000;
const csr = {
  sstatus: 0x100,
  sie: 0x104,
  stvec: 0x105,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  sip: 0x144,
  mstatus: 0x300,
  medeleg: 0x302,
  mideleg: 0x303,
  mie: 0x304,
  mtvec: 0x305,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  mip: 0x344,
} as const;
const MIE = 1n << 3n;
const SIE = 1n << 1n;
const MPIE = 1n << 7n;
const SPIE = 1n << 5n;
const SPP = 1n << 8n;
const MPP = 3n << 11n;
const INTERRUPT = 1n << 63n;
const mppOf = { U: 0n, S: 1n << 11n, M: 3n << 11n } as const;

describe('traps', () => {
  let machine: TestHart;
  before(async () => {
    machine = await makeHart();
  });
  beforeEach(fresh);

  function fresh(): void {
    const { hart } = machine;
    for (const cause of Object.values(Interrupt)) hart.setInterrupt(cause, false);
    hart.reset({ pc: BigInt(BASE) });
    openPmp(machine);
    hart.writeCsr(csr.mtvec, BigInt(M_HANDLER));
    hart.writeCsr(csr.stvec, BigInt(S_HANDLER));
  }

  /** Goes to `mode` at the start of RAM by mret, with `status` besides. */
  function enter(mode: PrivilegeMode, status = 0n): void {
    const { hart } = machine;
    place(machine, 'mret', BASE + 0x3000);
    hart.writeCsr(csr.mepc, BigInt(BASE));
    hart.writeCsr(csr.mstatus, mppOf[mode] | status);
    hart.pc = BigInt(BASE + 0x3000);
    hart.run(1);
    assert.equal(hart.mode, mode);
  }

  const causes = [
    ['ecall', { U: 8n, S: 9n, M: 11n }, 0n],
    ['ebreak', { U: 3n, S: 3n, M: 3n }, BigInt(BASE)],
    ['.word 0xffffffff', { U: 2n, S: 2n, M: 2n }, 0xffffffffn],
  ] as const;
  for (const [source, cause, value] of causes) {
    for (const mode of ['U', 'S', 'M'] as const) {
      test(`${source} in ${mode} goes to M, and says where from`, () => {
        const { hart } = machine;
        place(machine, source);
        enter(mode, MPIE);
        assert.equal(hart.run(1), 'budget');
        assert.equal(hart.mode, 'M');
        assert.equal(hart.pc, BigInt(M_HANDLER));
        assert.equal(hart.readCsr(csr.mcause), cause[mode]);
        assert.equal(hart.readCsr(csr.mepc), BigInt(BASE));
        assert.equal(hart.readCsr(csr.mtval), value);
        const status = hart.readCsr(csr.mstatus);
        assert.equal(status & MPP, mppOf[mode]);
        assert.equal(status & (MIE | MPIE), MPIE, 'MIE moved to MPIE');
      });
    }
  }

  test('an illegal compressed instruction puts its 16 bits in mtval', () => {
    const { hart, memory } = machine;
    memory.writeU32(BASE, 0x1234_8002);
    hart.run(1);
    assert.deepEqual([hart.readCsr(csr.mcause), hart.readCsr(csr.mtval)], [2n, 0x8002n]);
    memory.writeU32(BASE, 0);
    hart.pc = BigInt(BASE);
    hart.run(1);
    assert.deepEqual([hart.readCsr(csr.mcause), hart.readCsr(csr.mtval)], [2n, 0n]);
  });

  test('delegated exceptions of U and S go to S, those of M do not', () => {
    const { hart } = machine;
    place(machine, '.word 0xffffffff');
    for (const mode of ['U', 'S'] as const) {
      fresh();
      hart.writeCsr(csr.medeleg, 1n << 2n);
      enter(mode, SIE);
      hart.run(1);
      assert.equal(hart.mode, 'S');
      assert.equal(hart.pc, BigInt(S_HANDLER));
      assert.deepEqual(
        [hart.readCsr(csr.scause), hart.readCsr(csr.sepc), hart.readCsr(csr.stval)],
        [2n, BigInt(BASE), 0xffffffffn],
      );
      const status = hart.readCsr(csr.sstatus);
      assert.equal(status & (SIE | SPIE), SPIE);
      assert.equal(status & SPP, mode === 'S' ? SPP : 0n);
    }
    fresh();
    hart.writeCsr(csr.medeleg, 1n << 2n);
    enter('M');
    hart.run(1);
    assert.equal(hart.pc, BigInt(M_HANDLER));
  });

  test('sret and mret restore mode and interrupt enables, and forget the reservation', () => {
    const { hart } = machine;
    place(machine, 'sret');
    hart.writeCsr(csr.sepc, BigInt(BASE + 0x100));
    enter('S', SPIE | (1n << 17n));
    hart.run(1);
    assert.equal(hart.mode, 'U');
    assert.equal(hart.pc, BigInt(BASE + 0x100));
    assert.equal(hart.readCsr(csr.mstatus) & (SIE | SPIE | SPP | (1n << 17n)), SIE | SPIE);
  });

  test('instructions of a higher mode are illegal, also by TSR, TVM and TW', () => {
    const { hart } = machine;
    const cases = [
      ['mret', 'S', 0n],
      ['sret', 'U', 0n],
      ['wfi', 'U', 0n],
      ['sfence.vma zero, zero', 'U', 0n],
      ['csrrs a0, 0x300, zero', 'S', 0n],
      ['csrrs a0, 0x100, zero', 'U', 0n],
      ['csrrw zero, 0xc00, zero', 'M', 0n],
      ['csrrs a0, 0x123, zero', 'M', 0n],
      ['sret', 'S', 1n << 22n],
      ['wfi', 'S', 1n << 21n],
      ['sfence.vma zero, zero', 'S', 1n << 20n],
      ['csrrs a0, 0x180, zero', 'S', 1n << 20n],
    ] as const;
    for (const [source, mode, status] of cases) {
      fresh();
      place(machine, source);
      enter(mode, status);
      hart.writeCsr(csr.mcause, 0n);
      hart.run(1);
      assert.equal(hart.readCsr(csr.mcause), 2n, `${source} in ${mode}`);
    }
  });

  test('of several interrupts, the one of the highest priority is taken', () => {
    const { hart } = machine;
    place(machine, 'addi zero, zero, 0');
    place(machine, 'addi zero, zero, 0', M_HANDLER);
    const order = [11, 3, 7, 9, 1, 5];
    for (const [index, cause] of order.entries()) {
      fresh();
      enter('M', MPIE);
      for (const each of order.slice(index)) hart.setInterrupt(each, true);
      hart.writeCsr(csr.mie, 0xaaan);
      hart.run(1);
      assert.equal(hart.readCsr(csr.mcause), INTERRUPT | BigInt(cause));
      assert.equal(hart.readCsr(csr.mepc), BigInt(BASE));
      hart.setInterrupt(cause, false);
    }
  });

  test('interrupts for M are taken in S even when MIE is off; for S only by SIE', () => {
    const { hart } = machine;
    place(machine, 'addi zero, zero, 0\naddi zero, zero, 0');
    enter('S');
    hart.writeCsr(csr.mie, 0xaaan);
    hart.writeCsr(csr.mideleg, 0x222n);
    hart.setInterrupt(Interrupt.supervisorExternal, true);
    hart.run(1);
    assert.equal(hart.mode, 'S');
    assert.equal(hart.pc, BigInt(BASE + 4), 'SIE is off');
    hart.writeCsr(csr.mstatus, hart.readCsr(csr.mstatus) | SIE);
    place(machine, 'addi zero, zero, 0', S_HANDLER);
    hart.run(1);
    assert.equal(hart.readCsr(csr.scause), INTERRUPT | 9n);
    hart.setInterrupt(Interrupt.machineExternal, true);
    place(machine, 'addi zero, zero, 0', M_HANDLER);
    hart.run(1);
    assert.equal(hart.mode, 'M');
    assert.equal(hart.readCsr(csr.mcause), INTERRUPT | 11n);
  });

  test('vectored handlers are at 4 times the cause for interrupts, at the base for exceptions', () => {
    const { hart } = machine;
    hart.writeCsr(csr.mtvec, BigInt(M_HANDLER + 1));
    place(machine, 'ecall');
    hart.run(1);
    assert.equal(hart.pc, BigInt(M_HANDLER));
    hart.writeCsr(csr.mstatus, MIE);
    hart.writeCsr(csr.mie, 1n << 7n);
    place(machine, 'addi zero, zero, 0', M_HANDLER + 28);
    hart.setInterrupt(Interrupt.machineTimer, true);
    hart.run(1);
    assert.equal(hart.pc, BigInt(M_HANDLER + 32));
  });

  test('an interrupt raised inside a device access is taken before the next instruction', async () => {
    const test = await makeHart({
      bus: {
        contains: () => true,
        read: () => 0,
        write: () => test.hart.setInterrupt(Interrupt.machineExternal, true),
      },
    });
    place(test, 'sw zero, 0(zero)\naddi a0, a0, 1');
    place(test, 'addi a1, a1, 1', M_HANDLER);
    test.hart.writeCsr(csr.mtvec, BigInt(M_HANDLER));
    test.hart.writeCsr(csr.mie, 1n << 11n);
    test.hart.writeCsr(csr.mstatus, MIE);
    test.hart.run(2);
    assert.deepEqual([test.hart.readX(10), test.hart.readX(11)], [0n, 1n]);
    assert.equal(test.hart.readCsr(csr.mepc), BigInt(BASE + 4));
  });

  test('wfi ends the run unless an enabled interrupt is pending, whatever MIE says', () => {
    const { hart } = machine;
    place(machine, 'wfi\naddi a0, a0, 1');
    assert.equal(hart.run(10), 'wfi');
    assert.equal(hart.pc, BigInt(BASE + 4));
    hart.pc = BigInt(BASE);
    hart.writeCsr(csr.mie, 1n << 11n);
    hart.setInterrupt(Interrupt.machineExternal, true);
    assert.equal(hart.interruptPending, true);
    assert.equal(hart.run(2), 'budget');
    assert.equal(hart.readX(10), 1n);
  });

  test('firmware answers ecalls of S in place of a trap, and execution goes on after them', async () => {
    const calls: bigint[] = [];
    const test = await makeHart({
      firmware: (hart) => {
        calls.push(hart.readX(17));
        hart.writeX(10, 42n);
      },
    });
    place(test, 'addi a7, zero, 5\necall\naddi a1, a0, 1\necall');
    test.hart.reset({ pc: BigInt(BASE), mode: 'S', a0: 3n, a1: 4n });
    assert.deepEqual([test.hart.readX(10), test.hart.readX(11)], [3n, 4n]);
    test.hart.run(3);
    assert.deepEqual(calls, [5n]);
    assert.equal(test.hart.readX(11), 43n);
    assert.equal(test.hart.mode, 'S');
  });

  test('firmware may stop the hart or send it elsewhere', async () => {
    const test = await makeHart({
      firmware: (hart) => {
        hart.requestStop();
        hart.reset({ pc: BigInt(BASE + 0x100), mode: 'S', a1: 9n });
      },
    });
    place(test, 'ecall');
    test.hart.reset({ pc: BigInt(BASE), mode: 'S' });
    assert.equal(test.hart.run(100), 'stopped');
    assert.equal(test.hart.pc, BigInt(BASE + 0x100));
    assert.equal(test.hart.readX(11), 9n);
  });
});
