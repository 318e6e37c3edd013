import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BASE, makeHart, place } from './testing.ts';

const STIMECMP = 0x14d;
const TIME = 0xc01;
const HANDLER = BASE + 0x1000;

const LOOP = 'loop: addi a0, a0, 1\nbne a0, zero, loop';

describe('running a hart', () => {
  test('a budget is kept to the instruction, also a long one', async () => {
    const test = await makeHart();
    place(test, LOOP);
    for (const budget of [1, 2, 3, 19_999, 20_000, 20_001, 123_457]) {
      test.hart.reset({ pc: BigInt(BASE) });
      const before = test.hart.instret;
      assert.equal(test.hart.run(budget), 'budget');
      assert.equal(test.hart.instret - before, budget);
      assert.equal(test.hart.readX(10), BigInt(Math.ceil(budget / 2)));
    }
  });

  test('a stop asked for before a run ends it at once, and once', async () => {
    const test = await makeHart();
    place(test, LOOP);
    test.hart.requestStop();
    assert.equal(test.hart.run(10), 'stopped');
    assert.equal(test.hart.run(10), 'budget');
  });

  test('a device can stop the hart after its instruction', async () => {
    const bus = { contains: () => true, read: () => 7, write: () => test.hart.requestStop() };
    const test = await makeHart({ bus });
    place(test, 'lw a0, 0(zero)\nsw a0, 0(zero)\naddi a0, a0, 1');
    assert.equal(test.hart.run(100), 'stopped');
    assert.equal(test.hart.pc, BigInt(BASE + 8));
    assert.equal(test.hart.readX(10), 7n);
  });

  test('the clock of instructions ticks with them, at the rate given', async () => {
    const test = await makeHart({ clock: { kind: 'instructions', instructionsPerTick: 4 } });
    place(test, LOOP);
    test.hart.run(400);
    assert.equal(test.hart.time, 100n);
    test.hart.skipTime(1000n);
    assert.equal(test.hart.time, 1000n);
    test.hart.skipTime(10n);
    assert.equal(test.hart.time, 1000n);
    assert.equal(test.hart.readCsr(TIME), 1000n);
  });

  test('stimecmp interrupts at the exact instruction, the same in each run', async () => {
    const counts: bigint[] = [];
    for (let round = 0; round < 2; round++) {
      const test = await makeHart();
      const { hart } = test;
      place(test, LOOP);
      place(test, 'loop: jal zero, loop', HANDLER);
      hart.reset({ pc: BigInt(BASE), mode: 'S' });
      hart.writeCsr(0x105, BigInt(HANDLER));
      hart.writeCsr(0x104, 1n << 5n);
      hart.writeCsr(0x100, 1n << 1n);
      hart.writeCsr(STIMECMP, 5000n);
      assert.equal(hart.nextTimer(), 5000);
      assert.equal(hart.run(1_000_000), 'budget');
      assert.equal(hart.readCsr(0x142), (1n << 63n) | 5n);
      counts.push(hart.readX(10), hart.readCsr(0x141));
    }
    assert.deepEqual(counts.slice(0, 2), counts.slice(2));
    assert.equal(counts[0], 25_000n);
  });

  test('the guest can set stimecmp and wait for it', async () => {
    const test = await makeHart();
    const { hart } = test;
    place(
      test,
      'csrrs a0, 0xc01, zero\naddi a0, a0, 1000\ncsrrw zero, 0x14d, a0\nwfi\naddi a1, a1, 1',
    );
    hart.reset({ pc: BigInt(BASE), mode: 'S' });
    hart.writeCsr(0x104, 1n << 5n);
    assert.equal(hart.run(1000), 'wfi');
    const timer = hart.nextTimer()!;
    assert.equal(timer, Number(hart.readX(10)));
    hart.skipTime(BigInt(timer));
    assert.equal(hart.interruptPending, true);
    hart.run(1);
    assert.equal(hart.readX(11), 1n);
    hart.writeCsr(STIMECMP, (1n << 64n) - 1n);
    assert.equal(hart.interruptPending, false);
    assert.equal(hart.nextTimer(), undefined);
  });

  test('stimecmp needs STCE and mcounteren for S', async () => {
    const test = await makeHart();
    const { hart } = test;
    place(test, 'csrrw zero, 0x14d, zero');
    for (const [register, value] of [
      [0x30a, 0n],
      [0x306, 0n],
    ] as const) {
      hart.reset({ pc: BigInt(BASE), mode: 'S' });
      hart.writeCsr(0x302, 0n);
      hart.writeCsr(register, value);
      hart.run(1);
      assert.equal(hart.readCsr(0x342), 2n);
    }
  });

  test('mtimecmp drives MTIP, and real time comes from the function given', async () => {
    let now = 10;
    const test = await makeHart({ clock: { kind: 'real', now: () => now } });
    const { hart } = test;
    place(test, LOOP);
    hart.mtimecmp = 20n;
    assert.equal(hart.nextTimer(), 20);
    hart.run(10);
    assert.equal(hart.readCsr(0x344), 0n);
    now = 20;
    hart.run(10);
    assert.equal(hart.readCsr(0x344), 1n << 7n);
    assert.equal(hart.readCsr(TIME), 20n);
    hart.skipTime(100n);
    assert.equal(hart.time, 20n);
  });

  test('a state saved and restored goes on as if nothing had been', async () => {
    const test = await makeHart();
    const { hart, memory } = test;
    place(test, LOOP);
    hart.writeF(3, 0x123n);
    hart.writeCsr(0x340, 0x456n);
    hart.run(1000);
    const saved = hart.saveState();
    const ram = memory.readable(BASE, 4096).slice();
    hart.run(1000);
    const expected = [hart.readX(10), hart.pc, hart.instret, hart.time];

    const other = await makeHart();
    other.memory.writable(BASE, 4096).set(ram);
    other.hart.restoreState(saved);
    assert.deepEqual([other.hart.readF(3), other.hart.readCsr(0x340)], [0x123n, 0x456n]);
    other.hart.run(1000);
    const { hart: copy } = other;
    assert.deepEqual([copy.readX(10), copy.pc, copy.instret, copy.time], expected);
  });

  test('bytes that are no saved state are refused', async () => {
    const { hart } = await makeHart();
    const bad = { code: 'MACHINE_BAD_CONFIG' };
    assert.throws(() => hart.restoreState(new Uint8Array(0)), bad);
    assert.throws(() => hart.restoreState(new Uint8Array(4096)), bad);
    const saved = hart.saveState();
    saved[0]! ^= 1;
    assert.throws(() => hart.restoreState(saved), bad);
  });

  test('any words as code end in traps or go on: nothing escapes', async () => {
    const test = await makeHart();
    const { hart, memory } = test;
    let state = 12345;
    const random = (): number => {
      state = (Math.imul(state, 1103515245) + 12345) | 0;
      return (state ^ (state >>> 13)) >>> 0;
    };
    for (let round = 0; round < 200; round++) {
      const code = memory.writable(BASE, 0x4000);
      for (let index = 0; index < code.length; index++) code[index] = random() >>> 11;
      hart.reset({ pc: BigInt(BASE), mode: (['U', 'S', 'M'] as const)[round % 3]! });
      hart.writeCsr(0x300, hart.readCsr(0x300) | (3n << 13n));
      for (let register = 1; register < 32; register++) {
        hart.writeX(register, round & 1 ? BigInt(BASE + (random() & 0x3fff)) : BigInt(random()));
      }
      const exit = hart.run(2000);
      assert.ok(exit === 'budget' || exit === 'wfi');
      assert.equal(hart.readX(0), 0n);
    }
  });
});
