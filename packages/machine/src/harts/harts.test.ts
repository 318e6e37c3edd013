import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { memorySource } from '@anole/bytes';
import { Machine } from '../machine.ts';
import { loadConstant } from '../platform/testing/programs.ts';
import { openSnapshot } from '../snapshot/read.ts';
import { barrier, failIf, kernel, machineOf, Sbi, sbi } from './testing/kernels.ts';

/** Runs a kernel, interpreted and compiled: it powers off with the number of what went wrong, or 0. */
async function passes(cpus: number, source: string): Promise<void> {
  for (const jit of [false, { threshold: 20, batch: 1 }]) {
    const machine = await machineOf(cpus, source, { jit });
    assert.deepEqual(await machine.run(), { reason: 'poweroff', code: 0 });
  }
}

/**
 * Hart 0 makes `change` of something to the number in s7, 0 to 3 in turn, has SBI's `fence` done by all,
 * and announces the round. Hart 1 reads it to t2, and between which rounds it did: what was before the
 * one announced first may not be seen any more.
 */
const rounds = ({ change, fence, read }: { change: string; fence: number; read: string }) => `
  addi s9, zero, 0
  ${loadConstant('s10', 400)}
  bne s0, zero, reader
  round: addi s9, s9, 1
  andi s7, s9, 3
  ${change}
  addi a0, zero, 2
  addi a1, zero, 0
  ${sbi(Sbi.fence, fence)}
  ${failIf('bne a0, zero', 1)}
  sd s9, 128(s1)
  blt s9, s10, round
  jal zero, over
  reader: ld s11, 128(s1)
  fence 2, 3
  ${read}
  fence 2, 3
  ld t3, 128(s1)
  sub t4, t3, s11
  addi t6, zero, 2
  bge t4, t6, passed
  andi t5, s11, 3
  beq t2, t5, passed
  addi t5, s11, 1
  andi t5, t5, 3
  beq t2, t5, passed
  addi t5, s11, 2
  andi t5, t5, 3
  beq t4, zero, stale
  beq t2, t5, passed
  stale: ${failIf('beq zero, zero', 2)}
  passed: blt s11, s10, reader
  over:`;

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

  it('use no translation after a remote fence that its page table does not have', async () => {
    // Root, its second level, a page table, then four pages that hold their numbers.
    const prepare = `
      lui t0, 1
      add s3, s1, t0
      slli t1, t0, 4
      add t1, t1, t0
      add s4, s3, t1
      add s5, s3, t0
      add s6, s5, t0
      bne s0, zero, prepared
      srli t1, s6, 2
      ori t1, t1, 1
      sd t1, 8(s5)
      srli t1, s3, 2
      ori t1, t1, 1
      sd t1, 0(s6)
      addi t1, zero, 1
      slli t1, t1, 31
      srli t1, t1, 2
      ori t1, t1, 0xcf
      sd t1, 16(s5)
      addi s7, zero, 3
      fill: slli t4, s7, 12
      add t4, t4, s4
      sd s7, 0(t4)
      addi s7, s7, -1
      bge s7, zero, fill
      srli t4, s4, 2
      ori t4, t4, 0xcf
      sd t4, 8(s3)
      fence 3, 3
      prepared: ${barrier(2, 1024)}
      srli t1, s5, 12
      addi t2, zero, 8
      slli t2, t2, 60
      or t1, t1, t2
      csrrw zero, 0x180, t1
      sfence.vma zero, zero
      lui s8, 0x40001`;
    // Hart 1 reads 0x40001000 over and over, whose entry in the TLB nothing else wants; hart 0 maps it to
    // another page each time.
    const change = `
      slli t4, s7, 12
      add t4, t4, s4
      srli t4, t4, 2
      ori t4, t4, 0xcf
      sd t4, 8(s3)
      addi a2, s8, 0
      lui a3, 1`;
    const end = 'csrrw zero, 0x180, zero\nsfence.vma zero, zero';
    const work = rounds({ change, fence: 1, read: 'ld t2, 0(s8)' });
    await passes(2, kernel(2, `${prepare}\n${work}\n${end}`));
  });

  it('execute no code after a remote fence that was written over before', async () => {
    const prepare = `
      lui t0, 1
      add s3, s1, t0
      bne s0, zero, prepared
      ${loadConstant('t1', 0x0000_0513)}
      sw t1, 0(s3)
      ${loadConstant('t1', 0x0000_8067)}
      sw t1, 4(s3)
      fence 3, 3
      prepared: ${barrier(2, 1024)}
      fence.i`;
    // The first instruction of a function: addi a0, zero, number.
    const change = `
      slli t4, s7, 20
      ori t4, t4, 0x513
      sw t4, 0(s3)
      fence 3, 3`;
    const read = 'jalr ra, 0(s3)\naddi t2, a0, 0';
    await passes(2, kernel(2, `${prepare}\n${rounds({ change, fence: 0, read })}`));
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
