import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { failIf, kernel, machineOf, Sbi, sbi } from './testing/kernels.ts';

describe('hostile guests on several harts', () => {
  /** A machine whose guest never ends by itself is stopped, its threads with it. */
  async function stops(cpus: number, source: string): Promise<void> {
    const machine = await machineOf(cpus, source);
    const ended = machine.run();
    await setTimeout(150);
    await machine.stop();
    assert.deepEqual(await ended, { reason: 'stopped' });
  }

  it('may interrupt each other without end', async () => {
    const work = `
      again: addi a0, zero, -1
      addi a1, zero, -1
      ${sbi(Sbi.ipi, 0)}
      jal zero, again`;
    await stops(4, kernel(4, work));
  });

  it('may ask each other for fences without end', async () => {
    const work = `
      again: addi a1, zero, -1
      ${sbi(Sbi.fence, 1)}
      addi a1, zero, -1
      ${sbi(Sbi.fence, 0)}
      jal zero, again`;
    await stops(4, kernel(4, work));
  });

  it('may flood devices', async () => {
    const work = `
      lui t0, 0x10000
      lui t1, 0xc000
      again: lbu t2, 5(t0)
      lw t2, 4(t1)
      sw t2, 4(t1)
      jal zero, again`;
    await stops(4, kernel(4, work));
  });

  it('may stop all of themselves', async () => {
    await stops(3, kernel(3, sbi(Sbi.harts, 1)));
  });

  it('may start harts where nothing is, or garbage', async () => {
    const garbage = `
      addi a0, zero, 1
      lui a1, 0x82
      slli a1, a1, 12
      ${sbi(Sbi.harts, 0)}
      addi a0, zero, 2
      addi a1, zero, -2
      ${sbi(Sbi.harts, 0)}
      addi t0, zero, -5
      ${failIf('bne a0, t0', 1)}
      here: jal zero, here`;
    await stops(3, garbage);
  });
});

describe('a machine of several harts', () => {
  it('has 1 to 16 of them', async () => {
    for (const cpus of [0, -1, 1.5, 17, Number.NaN]) {
      await assert.rejects(machineOf(cpus, 'wfi'), { code: 'MACHINE_BAD_OPTION' });
    }
  });

  it('cannot repeat its runs', async () => {
    await assert.rejects(machineOf(2, 'wfi', { clock: 'instructions' }), {
      code: 'MACHINE_BAD_OPTION',
    });
  });

  it('may be stopped before it started', async () => {
    const machine = await machineOf(4, 'wfi');
    const ended = machine.run();
    await machine.stop();
    assert.deepEqual(await ended, { reason: 'stopped' });
  });
});
