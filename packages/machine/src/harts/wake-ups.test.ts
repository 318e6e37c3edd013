import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadConstant } from '../platform/testing/programs.ts';
import { failIf, kernel, machineOf, Sbi, sbi } from './testing/kernels.ts';

async function passes(cpus: number, source: string): Promise<void> {
  const machine = await machineOf(cpus, source);
  assert.deepEqual(await machine.run(), { reason: 'poweroff', code: 0 });
}

/** Ticks of the guest's clock. */
const SECOND = 10_000_000;

describe('harts that sleep', () => {
  it('hear a timer that comes while they fall asleep', async () => {
    // Each hart arms its timer a tenth of a microsecond later than before, from at once to 100 us ahead.
    const work = `
      addi t0, zero, 0x20
      csrrs zero, 0x104, t0
      ${loadConstant('s5', 20 * SECOND)}
      addi s6, zero, 5
      again: ${loadConstant('s7', 1000)}
      arm: csrrs t1, 0xc01, zero
      add s8, t1, s7
      csrrw zero, 0x14d, s8
      doze: wfi
      csrrs t1, 0xc01, zero
      blt t1, s8, doze
      sub t1, t1, s8
      ${failIf('bge t1, s5', 1)}
      addi s7, s7, -1
      bge s7, zero, arm
      addi s6, s6, -1
      bne s6, zero, again`;
    await passes(2, kernel(2, work));
  });

  it('are told of each fence that they wait for', async () => {
    // Several ask the last hart at once, which never asks anybody, and so never rings for any other reason.
    const work = `
      addi s6, zero, 3
      addi s8, s1, 256
      addi t1, zero, 1
      beq s0, s6, asked
      ${loadConstant('s5', 4000)}
      fences: addi a0, zero, 8
      addi a1, zero, 0
      addi a2, zero, 0
      addi a3, zero, 0
      ${sbi(Sbi.fence, 1)}
      ${failIf('bne a0, zero', 1)}
      addi s5, s5, -1
      bne s5, zero, fences
      amoadd.d zero, t1, (s8)
      jal zero, fenced
      asked: ld t2, 0(s8)
      blt t2, s6, asked
      fenced:`;
    await passes(4, kernel(4, work));
  });
});
