import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { memorySource } from '@anole/bytes';
import { Machine } from '../machine.ts';
import { loadConstant } from '../platform/testing/programs.ts';
import { openSnapshot } from '../snapshot/read.ts';
import { barrier, failIf, kernel, machineOf, passes, Sbi, sbi } from './testing/kernels.ts';

/** Counts 20,000 times at s1 by `step`, with t1 = s1 and t2 = 1. */
const counting = (step: string) => `
  addi t1, s1, 0
  addi t2, zero, 1
  ${loadConstant('t3', 20_000)}
  count: ${step}
  addi t3, t3, -1
  bne t3, zero, count`;

const counted = (harts: number) => `
  ld t0, 0(s1)
  ${loadConstant('t1', 20_000 * harts)}
  ${failIf('bne t0, t1', 1)}`;

describe('harts of one machine', () => {
  it('count together without losing any: by AMO', async () => {
    await passes(4, kernel(4, counting('amoadd.d zero, t2, (t1)'), counted(4)));
    await passes(3, kernel(3, counting('amoadd.w zero, t2, (t1)'), counted(3)));
  });

  it('count together without losing any: by lr and sc', async () => {
    const step = (width: string) => `lr.${width} t4, (t1)
      addi t4, t4, 1
      sc.${width} t5, t4, (t1)
      bne t5, zero, count`;
    await passes(4, kernel(4, counting(step('d')), counted(4)));
    await passes(2, kernel(2, counting(step('w')), counted(2)));
  });

  it('agree on the greatest and the least of what all offer', async () => {
    const work = `
      addi t1, s1, 0
      ${loadConstant('t3', 5000)}
      offer: slli t4, t3, 2
      add t4, t4, s0
      amomax.d zero, t4, (t1)
      sub t4, zero, t4
      addi t5, s1, 8
      amomin.w zero, t4, (t5)
      addi t3, t3, -1
      bne t3, zero, offer`;
    const then = `
      ld t0, 0(s1)
      lw t1, 8(s1)
      ${loadConstant('t2', 20_003)}
      ${failIf('bne t0, t2', 1)}
      sub t0, zero, t0
      ${failIf('bne t0, t1', 2)}`;
    await passes(4, kernel(4, work, then));
  });

  it('see what was written before what they see (message passing)', async () => {
    const work = `
      ${loadConstant('s5', 30_000)}
      addi t1, zero, 0
      bne s0, zero, write
      read: ld t2, 64(s1)
      fence 2, 3
      ld t3, 0(s1)
      ${failIf('blt t3, t2', 1)}
      blt t2, s5, read
      jal zero, end
      write: addi t1, t1, 1
      sd t1, 0(s1)
      fence 3, 1
      sd t1, 64(s1)
      blt t1, s5, write
      end:`;
    await passes(2, kernel(2, work));
  });

  it('do not both miss what the other wrote before a fence (store buffering)', async () => {
    // The rounds' words are apart, so that none needs to be cleared.
    const work = `
      addi s5, zero, 500
      addi s6, zero, 2
      addi t1, zero, 1
      addi s8, s1, 0
      round: addi t4, s8, 256
      amoadd.d zero, t1, (t4)
      meet: ld t5, 0(t4)
      blt t5, s6, meet
      slli t4, s0, 6
      add t4, t4, s8
      sd t1, 512(t4)
      fence 3, 3
      xori t5, s0, 1
      slli t5, t5, 6
      add t5, t5, s8
      ld t6, 512(t5)
      sd t6, 768(t4)
      addi s8, s8, 1024
      addi s5, s5, -1
      bne s5, zero, round`;
    const then = `
      addi s5, zero, 500
      addi s8, s1, 0
      check: ld t0, 768(s8)
      ld t1, 832(s8)
      or t0, t0, t1
      ${failIf('beq t0, zero', 1)}
      addi s8, s8, 1024
      addi s5, s5, -1
      bne s5, zero, check`;
    await passes(2, kernel(2, work, then));
  });

  it('are started, stopped and started again, as SBI says', async () => {
    const status = (hart: number, wanted: number, code: number) => `
      addi a0, zero, ${hart}
      ${sbi(Sbi.harts, 2)}
      addi t0, zero, ${wanted}
      ${failIf('bne a1, t0', code)}`;
    const start = (hart: number, at: string, error: number, code: number) => `
      addi a0, zero, ${hart}
      ${at}
      addi a2, zero, 77
      ${sbi(Sbi.harts, 0)}
      addi t0, zero, ${error}
      ${failIf('bne a0, t0', code)}`;
    const source = `
      lui s1, 0x81
      slli s1, s1, 12
      jal s2, main
      addi t0, zero, 77
      ${failIf('bne a1, t0', 20)}
      addi t1, zero, 1
      lui s1, 0x81
      slli s1, s1, 12
      amoadd.d zero, t1, (s1)
      ${sbi(Sbi.harts, 1)}
      ${failIf('beq zero, zero', 21)}
      main: ${status(0, 0, 1)}
      ${status(1, 1, 2)}
      addi a0, zero, 5
      ${sbi(Sbi.harts, 2)}
      addi t0, zero, -3
      ${failIf('bne a0, t0', 3)}
      ${start(5, 'addi a1, s2, 0', -3, 4)}
      ${start(0, 'addi a1, s2, 0', -6, 5)}
      ${start(1, 'addi a1, zero, 16', -5, 6)}
      ${start(1, 'addi a1, s2, 1', -5, 7)}
      ${start(1, 'addi a1, s2, 0', 0, 8)}
      first: ld t0, 0(s1)
      beq t0, zero, first
      stopping: addi a0, zero, 1
      ${sbi(Sbi.harts, 2)}
      addi t0, zero, 1
      bne a1, t0, stopping
      ${start(1, 'addi a1, s2, 0', 0, 9)}
      addi t1, zero, 2
      second: ld t0, 0(s1)
      bne t0, t1, second`;
    await passes(2, `${source}\n${kernelEnd}`);
  });

  it('wake each other by interrupts, and a timer wakes each', async () => {
    const work = `
      addi t0, zero, 0x22
      csrrs zero, 0x104, t0
      ${barrier(4, 1024)}
      bne s0, zero, sleeper
      ${loadConstant('t3', 200_000)}
      later: addi t3, t3, -1
      bne t3, zero, later
      addi a0, zero, 0xe
      addi a1, zero, 0
      ${sbi(Sbi.ipi, 0)}
      ${failIf('bne a0, zero', 1)}
      jal zero, timed
      sleeper: wfi
      csrrs t0, 0x144, zero
      andi t0, t0, 2
      beq t0, zero, sleeper
      addi t0, zero, 2
      csrrc zero, 0x144, t0
      timed: csrrs t1, 0xc01, zero
      ${loadConstant('t2', 50_000)}
      add s6, t1, t2
      csrrw zero, 0x14d, s6
      dozing: wfi
      csrrs t0, 0x144, zero
      andi t0, t0, 0x20
      beq t0, zero, dozing
      csrrs t1, 0xc01, zero
      ${failIf('blt t1, s6', 2)}`;
    await passes(4, kernel(4, work));
  });

  it('reach devices from any of them', async () => {
    let text = '';
    const say = `
      lui t0, 0x10000
      addi t1, s0, 48
      turn: ld t2, 128(s1)
      bne t2, s0, turn
      sb t1, 0(t0)
      addi t2, t2, 1
      sd t2, 128(s1)
      lbu t3, 5(t0)
      addi t4, zero, 0x60
      ${failIf('bne t3, t4', 1)}
      # Nothing is at 16: the access faults.
      addi t1, zero, 0
      jal t0, probe
      csrrs t2, 0x142, zero
      addi t3, zero, 5
      ${failIf('bne t2, t3', 2)}
      jal zero, probed
      probe: csrrw zero, 0x105, t0
      lw t3, 16(zero)
      ${failIf('beq zero, zero', 3)}
      probed:`;
    const machine = await machineOf(4, kernel(4, say), {
      onSerial: (bytes) => {
        text += new TextDecoder().decode(bytes);
      },
    });
    assert.deepEqual(await machine.run(), { reason: 'poweroff', code: 0 });
    assert.equal(text, '0123');
    assert.ok(machine.statistics.instructions > 100);
  });

  it('are saved while they count, and go on from there', async () => {
    const step = 'amoadd.d zero, t2, (t1)';
    const long = counting(step).replaceAll(
      loadConstant('t3', 20_000),
      loadConstant('t3', 20_000_000),
    );
    const all = counted(3).replaceAll(loadConstant('t1', 60_000), loadConstant('t1', 60_000_000));
    // However fast they are, they are there until they are told on the console.
    const then = `
      lui t0, 0x10000
      untold: lbu t1, 5(t0)
      andi t1, t1, 1
      beq t1, zero, untold
      ${all}`;
    const machine = await machineOf(3, kernel(3, long, then));
    const ended = machine.run();
    const chunks: Uint8Array[] = [];
    for (let round = 0; round < 3; round++) {
      await setTimeout(30);
      chunks.length = 0;
      await machine.save((chunk) => void chunks.push(chunk.slice()));
    }
    await machine.stop();
    await ended;
    const snapshot = openSnapshot(memorySource(Buffer.concat(chunks)));
    assert.equal(snapshot.shape.cpus, 3);
    const copy = await Machine.restore({ snapshot });
    const over = copy.run();
    await copy.writeSerial(Uint8Array.of(1));
    assert.deepEqual(await over, { reason: 'poweroff', code: 0 });
  });
});

/** Powers off with 0. */
const kernelEnd = `
  ${loadConstant('t0', 0x5555)}
  lui t1, 0x100
  sw t0, 0(t1)
  end: jal zero, end`;
